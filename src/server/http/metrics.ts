/**
 * Prometheus metrics. Hot paths count in plain numbers; they are read here, when somebody scrapes. Labels come from
 * fixed lists, so their number is bounded whatever arrives.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "@prometheus-io/client";
import { Method } from "../../core/stun/registry.ts";
import { type OffloadStats, outcomes } from "../../node/datapath/ebpf/offload-stats.ts";
import type { HostStats, ShardHealth, TurnService } from "../../node/turn-service.ts";
import type { SipView } from "../services/sip/sip-service.ts";

type Labelled = readonly (readonly [label: string, value: number])[];

/** Reads the server's numbers when the registry is asked. `sip`: undefined where it is off. */
export function createMetrics(turn: Pick<TurnService, "stats" | "shards">, sip?: SipView): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  addTurnMetrics(writerFor(registry, () => turn.stats));
  if (turn.shards.length > 0) addShardMetrics(writerFor(registry, () => turn.shards));
  if (sip !== undefined) addSipMetrics(writerFor(registry, () => sip));
  addOffloadMetrics(
    writerFor(registry, () => [turn.stats.offloaded, sip?.stats.offloaded].filter((one) => one !== undefined)),
  );
  return registry;
}

/** Adds metrics that are read from `source` at every scrape. */
function writerFor<Source>(registry: Registry, source: () => Source) {
  const registers = [registry];
  return {
    /** Undefined: there is none now. */
    gauge(name: string, help: string, read: (s: Source) => number | undefined): void {
      new Gauge({
        ...{ name: `postern_${name}`, help, registers },
        collect() {
          const value = read(source());
          if (value === undefined) this.remove();
          else this.set(value);
        },
      });
    },
    gauges(name: string, help: string, label: string, read: (s: Source) => Labelled): void {
      new Gauge({
        ...{ name: `postern_${name}`, help, registers, labelNames: [label] },
        collect() {
          for (const [key, value] of read(source())) this.set({ [label]: key }, value);
        },
      });
    },
    counter(name: string, help: string, read: (s: Source) => number): void {
      new Counter({
        ...{ name: `postern_${name}_total`, help, registers },
        collect() {
          this.reset();
          this.inc(read(source()));
        },
      });
    },
    counters(name: string, help: string, label: string, read: (s: Source) => Labelled): void {
      new Counter({
        ...{ name: `postern_${name}_total`, help, registers, labelNames: [label] },
        collect() {
          this.reset();
          for (const [key, value] of read(source())) this.inc({ [label]: key }, value);
        },
      });
    },
  };
}

type Writer<Source> = ReturnType<typeof writerFor<Source>>;

function addTurnMetrics({ gauge, counter, counters }: Writer<HostStats>): void {
  gauge("turn_allocations", "Allocations now.", (s) => s.server.allocations);
  gauge("turn_permissions", "Permissions now.", (s) => s.server.permissions);
  gauge("turn_channels", "Channels now.", (s) => s.server.channels);
  counter("turn_allocations", "Allocations made since the start.", (s) => s.server.allocationsTotal);
  counter("stun_bindings", "Binding requests answered.", (s) => s.server.bindings);
  counters("turn_requests", "Requests answered with success.", "method", (s) => successes(s.server.successes));
  counters("stun_errors", "Error responses sent.", "code", (s) => errors(s.server.errors));
  counters("turn_drops", "Messages dropped without an answer.", "reason", (s) => Object.entries(s.server.drops));
  counter("relayed_packets_to_peers", "Datagrams relayed to peers.", (s) => s.server.packetsToPeers);
  counter("relayed_bytes_to_peers", "Payload bytes relayed to peers.", (s) => s.server.bytesToPeers);
  counter("relayed_packets_to_clients", "Datagrams relayed to clients.", (s) => s.server.packetsToClients);
  counter("relayed_bytes_to_clients", "Payload bytes relayed to clients.", (s) => s.server.bytesToClients);

  gauge("udp_sockets", "UDP sockets open.", (s) => s.datapath.sockets);
  counter("udp_packets_in", "Datagrams received.", (s) => s.datapath.packetsIn);
  counter("udp_packets_out", "Datagrams sent.", (s) => s.datapath.packetsOut);
  counter("udp_socket_errors", "Errors that the system reported on open sockets.", (s) => s.datapath.socketErrors);
  counters("udp_send_drops", "Datagrams that could not be sent.", "reason", (s) => Object.entries(s.datapath.drops));
  counters("udp_unreceived", "Datagrams that the system dropped before they were read.", "queue", (s) =>
    Object.entries(s.datapath.unreceived ?? {}),
  );
  counters("udp_bind_failures", "Sockets that could not be opened.", "reason", (s) =>
    Object.entries(s.datapath.bindFailures),
  );

  gauge("stream_connections", "TCP and TLS connections now.", (s) => s.streams.open);
  counter("stream_connections_accepted", "TCP and TLS connections accepted.", (s) => s.streams.accepted);
  counters("stream_connections_refused", "Connections refused, by limit.", "limit", (s) =>
    Object.entries(s.streams.refused),
  );
  counters("stream_connections_closed", "Connections ended, by cause.", "cause", (s) =>
    Object.entries(s.streams.closed),
  );
  counter("stream_media_dropped", "Media dropped for clients that do not read.", (s) => s.streams.mediaDropped);

  counter("shard_packets", "Datagrams handed from one shard to another.", (s) => s.handedOver?.packetsOut ?? 0);
  counter("shard_packets_lost", "Datagrams that the other shard had no room for.", (s) => s.handedOver?.full ?? 0);
}

function addShardMetrics({ gauges, counters }: Writer<readonly ShardHealth[]>): void {
  const each = (of: (shard: ShardHealth) => number) => (shards: readonly ShardHealth[]) =>
    shards.map((shard) => [shard.name, of(shard)] as const);
  gauges(
    "shard_up",
    "Whether this worker serves.",
    "shard",
    each(({ isUp }) => Number(isUp)),
  );
  gauges(
    "shard_lost_listeners",
    "Listeners that this worker could not open again, and tries to.",
    "shard",
    each(({ lostListeners }) => lostListeners),
  );
  counters(
    "shard_failures",
    "How often this worker has ended by itself.",
    "shard",
    each(({ failures }) => failures),
  );
  counters(
    "shard_lost_allocations",
    "Allocations that ended with this worker.",
    "shard",
    each(({ lost }) => lost),
  );
}

function addSipMetrics({ gauge, counter, counters }: Writer<SipView>): void {
  gauge("sip_registrations", "Phones registered now.", (s) => s.phones);
  gauge("sip_calls", "Calls now, ringing ones too.", (s) => s.callCount);
  counter("sip_requests", "Requests that came.", (s) => s.stats.edge.requests);
  counters("sip_refused", "Requests refused or dropped.", "reason", (s) => Object.entries(s.stats.edge.refused));
  counters("sip_messages_in", "Messages that came.", "transport", (s) => messages(s, "messagesIn"));
  counters("sip_messages_out", "Messages that were sent.", "transport", (s) => messages(s, "messagesOut"));
  counters("sip_send_drops", "Messages that could not be sent, and noise.", "reason", (s) =>
    Object.entries(s.stats.sockets.dropped),
  );
  gauge("sip_connections", "TCP and TLS connections now.", (s) => s.stats.sockets.connections.open);
  counters("sip_connections_refused", "Connections refused, by limit.", "limit", (s) =>
    Object.entries(s.stats.sockets.connections.refused),
  );
  counters("sip_connections_closed", "Connections ended, by cause.", "cause", (s) =>
    Object.entries(s.stats.sockets.connections.closed),
  );
  gauge("media_ports", "Ports of calls' media open now.", (s) => s.stats.media.ports);
  counter("media_packets", "Datagrams of calls relayed.", (s) => s.stats.media.packets);
  counter("media_bytes", "Payload bytes of calls relayed.", (s) => s.stats.media.bytes);
  counters("media_drops", "Datagrams of calls dropped.", "reason", (s) => Object.entries(s.stats.media.drops));
}

/** Of TURN's and of calls' together. */
function addOffloadMetrics({ gauge, counter, counters }: Writer<readonly Readonly<OffloadStats>[]>): void {
  const total = (all: readonly Readonly<OffloadStats>[], of: (one: Readonly<OffloadStats>) => number): number =>
    all.reduce((sum, one) => sum + of(one), 0);
  gauge("offload_up", "Whether the kernel forwards, in every thread.", (all) => {
    return all.length === 0 ? undefined : Number(total(all, (s) => s.missing) === 0);
  });
  gauge("offloaded_flows", "Flows that the kernel forwards by itself now.", (all) => total(all, (s) => s.flows));
  counters("offload_datagrams", "What the kernel's program did with datagrams.", "outcome", (all) =>
    all.length === 0 ? [] : outcomes.map((outcome) => [outcome, total(all, (s) => s.datagrams[outcome])]),
  );
  counter("offload_failures", "Flows that the kernel refused.", (all) => total(all, (s) => s.failures));
}

function messages({ stats }: SipView, count: "messagesIn" | "messagesOut"): Labelled {
  return Object.entries(stats.sockets.messages).map(([transport, counts]) => [transport, counts[count]]);
}

function successes(counts: readonly number[]): Labelled {
  return Object.entries(Method)
    .filter(([, number]) => counts[number] !== 0 && number !== Method.Binding)
    .map(([name, number]) => [name, counts[number] ?? 0]);
}

function errors(counts: readonly number[]): Labelled {
  return counts.flatMap((count, code) => (count > 0 ? [[String(code), count] as const] : []));
}
