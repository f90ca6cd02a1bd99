/**
 * Prometheus metrics. Hot paths count in plain numbers; they are read here, when somebody scrapes. Labels come from
 * fixed lists, so their number is bounded whatever arrives.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "@prometheus-io/client";
import { Method } from "../../core/stun/registry.ts";
import type { HostStats } from "../../node/turn-host.ts";

type Labelled = readonly (readonly [label: string, value: number])[];

/** Reads the server's numbers when the registry is asked. */
export function createMetrics(stats: () => HostStats): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });

  const gauge = (name: string, help: string, read: (s: HostStats) => number): void => {
    new Gauge({
      name: `postern_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read(stats()));
      },
    });
  };
  const counter = (name: string, help: string, read: (s: HostStats) => number): void => {
    new Counter({
      name: `postern_${name}_total`,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(read(stats()));
      },
    });
  };
  const counters = (name: string, help: string, label: string, read: (s: HostStats) => Labelled): void => {
    new Counter({
      name: `postern_${name}_total`,
      help,
      labelNames: [label],
      registers: [registry],
      collect() {
        this.reset();
        for (const [key, value] of read(stats())) this.inc({ [label]: key }, value);
      },
    });
  };

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
  return registry;
}

function successes(counts: readonly number[]): Labelled {
  return Object.entries(Method)
    .filter(([, number]) => counts[number] !== 0 && number !== Method.Binding)
    .map(([name, number]) => [name, counts[number] ?? 0]);
}

function errors(counts: readonly number[]): Labelled {
  return counts.flatMap((count, code) => (count > 0 ? [[String(code), count] as const] : []));
}
