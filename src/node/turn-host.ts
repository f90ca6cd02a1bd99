/**
 * Gives one TURN server its sockets, its timer and its clock. The host owns a machine, a datapath, and the listeners on
 * which clients come; whatever arrives becomes one input of the machine, and the driver carries out what it asks for.
 */
import type { Address } from "../core/base/address.ts";
import { PosternError } from "../core/base/failure.ts";
import type { RelayAddress, SharedSecret, TurnServerConfig } from "../core/turn/server/config.ts";
import type { DiscoverySquare } from "../core/turn/server/discovery-sites.ts";
import type { KeyQueryId, TurnServerEvent, TurnServerOutput, UserKeys } from "../core/turn/server/outputs.ts";
import type { ShardMessage } from "../core/turn/server/shard.ts";
import { TurnServer } from "../core/turn/server/turn-server.ts";
import { wallClock } from "./clock.ts";
import { nodeCrypto } from "./crypto.ts";
import type { Datapath } from "./datapath/datapath.ts";
import { refuseWildcard } from "./datapath/wildcard.ts";
import { Emptying } from "./emptying.ts";
import { FailureLog } from "./failure-log.ts";
import { KeyCache } from "./key-cache.ts";
import { KeyLookups } from "./key-lookups.ts";
import { type Log, silentLog } from "./log.ts";
import type { ListenSpec } from "./net/listen-spec.ts";
import { StreamClients } from "./net/stream-clients.ts";
import { defaultStreamLimits, limitsWithin, type StreamLimits } from "./net/stream-limits.ts";
import type { StreamListener } from "./net/stream-listener.ts";
import type { TlsIdentity } from "./net/tls-identity.ts";
import { PooledRandom } from "./random.ts";
import type { Neighbours } from "./shard/neighbours.ts";
import type { ShardLink } from "./shard/shard-link.ts";
import { type Capacity, capacityOf } from "./turn/capacity.ts";
import { Egress } from "./turn/egress.ts";
import { HandOvers } from "./turn/hand-overs.ts";
import { RelaySockets } from "./turn/relay-sockets.ts";
import { TurnDriver } from "./turn/turn-driver.ts";
import { UdpListener } from "./turn/udp-listener.ts";
import type { BoundListener, FindKeys, HostStats, ShardHealth, TurnService } from "./turn-service.ts";

export interface TurnHostOptions {
  readonly config: TurnServerConfig;
  /** The host's from now on: `close` closes it. */
  readonly datapath: Datapath;
  readonly keys?: FindKeys;
  readonly onEvent?: (event: TurnServerEvent) => void;
  readonly log?: Log;
  /** What is not given is as in `defaultStreamLimits`. */
  readonly streams?: Partial<StreamLimits>;
  /** Where this server is one of several. */
  readonly link?: ShardLink;
}

export class TurnHost implements TurnService {
  readonly shards: readonly ShardHealth[] = [];
  readonly stats: HostStats;
  readonly #config: TurnServerConfig;
  readonly #datapath: Datapath;
  readonly #onEvent: (event: TurnServerEvent) => void;
  readonly #log: Log;
  readonly #failures: FailureLog;
  readonly #streams: StreamClients;
  readonly #egress: Egress;
  readonly #driver: TurnDriver;
  readonly #relays: RelaySockets;
  /** Undefined where this server is alone. */
  readonly #neighbours: Neighbours | undefined;
  readonly #handOvers: HandOvers | undefined;
  readonly #keys: KeyCache;
  readonly #lookups: KeyLookups<KeyQueryId, UserKeys>;
  readonly #listeners: Map<number, ListenerEntry> = new Map();
  readonly #emptying: Emptying = new Emptying(() => this.stats.server.allocations === 0);
  #lastListener = 0;
  #closing: Promise<void> | undefined;

  /** Opens nothing yet. Throws `PosternError` `wildcard-address` when a relay is not one address. */
  constructor(options: TurnHostOptions) {
    const { config, datapath } = options;
    for (const { bound } of config.relays) refuseWildcard(bound);
    this.#config = config;
    this.#datapath = datapath;
    this.#onEvent = options.onEvent ?? (() => {});
    this.#log = options.log ?? silentLog;
    this.#failures = new FailureLog(this.#log, "turn-server-failed");
    const ports = { crypto: nodeCrypto, random: new PooledRandom(), wallClock };
    const { link } = options;
    const machine = new TurnServer(config, ports, link?.shard);
    this.#streams = new StreamClients(limitsWithin(defaultStreamLimits, options.streams), {
      handleFrame: (frame, from) => this.#driver.clientDatagram(frame, frame.length, from),
      handleClosed: (from) => this.#driver.input((server, now) => server.handleClientClosed(from, now)),
    });
    this.#neighbours = link?.connect((...packet) => this.#driver.shardDatagram(...packet));
    this.#egress = new Egress(datapath, this.#streams, this.#neighbours);
    this.#driver = new TurnDriver(machine, this.#egress, {
      perform: (output) => this.#perform(output),
      // The machine broke one of its own invariants; what it was handed is lost, and the rest goes on.
      handleFailure: (error) => this.#failures.report(error),
    });
    this.#relays = new RelaySockets(datapath, this.#driver, this.#egress);
    this.#handOvers = link && new HandOvers(link, this.#driver, this.#relays);
    this.#keys = new KeyCache(options.keys ?? (() => undefined));
    this.#lookups = new KeyLookups(
      (query, keys) => this.#driver.input((server, now) => server.handleKey(query, keys, now)),
      this.#log,
    );
    const { stats, offloaded } = datapath;
    const handedOver = this.#neighbours?.stats;
    this.stats = { server: machine.stats, datapath: stats, offloaded, streams: this.#streams.stats, handedOver };
  }

  get capacity(): Capacity {
    return capacityOf(this.#config, this.#streams.limits.connections);
  }

  get listeners(): readonly BoundListener[] {
    return [...this.#listeners.values()].flatMap(({ bound }) => bound ?? []);
  }

  /** They are always up to date. */
  refresh(): Promise<void> {
    return Promise.resolve();
  }

  /** Rejects also with the signal's reason. */
  async listen(spec: ListenSpec, signal?: AbortSignal): Promise<BoundListener> {
    signal?.throwIfAborted();
    this.#refuseClosed();
    refuseWildcard(spec.address);
    const id = ++this.#lastListener;
    const listener = spec.transport === "udp" ? this.#udpListener(id, spec) : await this.#streamListener(id, spec);
    signal?.throwIfAborted();
    this.#refuseClosed();
    const entry: ListenerEntry = { listener, bound: undefined };
    this.#listeners.set(id, entry);
    const abandon = (): void => listener.close();
    signal?.addEventListener("abort", abandon);
    try {
      const address = await listener.open();
      signal?.throwIfAborted();
      this.#refuseClosed();
      entry.bound = { id, transport: spec.transport, address };
      return entry.bound;
    } catch (error) {
      this.#listeners.delete(id);
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", abandon);
    }
  }

  unlisten({ id, transport }: BoundListener): void {
    this.#listeners.get(id)?.listener.close();
    this.#listeners.delete(id);
    if (transport === "udp") this.#driver.input((server, now) => server.handleListenerClosed(id, now));
  }

  updateTls(identity: TlsIdentity): void {
    for (const { listener } of this.#listeners.values()) {
      if ("updateTls" in listener) listener.updateTls(identity);
    }
  }

  setAddresses(relays: readonly RelayAddress[], ownAddresses: readonly Readonly<Address>[]): void {
    for (const { bound } of relays) refuseWildcard(bound);
    this.#driver.input((server, now) => server.handleAddresses(relays, ownAddresses, now));
  }

  setDiscoverySquares(squares: readonly DiscoverySquare[]): void {
    this.#driver.input((server, now) => server.handleDiscoverySquares(squares, now));
  }

  setSecrets(secrets: readonly SharedSecret[]): void {
    this.#driver.input((server, now) => server.handleSecrets(secrets, now));
  }

  removeUser(username: string): void {
    this.#keys.forget(username);
    this.#driver.input((server, now) => server.handleUserRemoved(username, now));
  }

  /** What another shard tells; `descriptor`: of a socket that comes with it. */
  handleShardMessage(from: number, message: ShardMessage, descriptor: number | undefined): void {
    this.#handOvers?.handle(from, message, descriptor);
  }

  /** Another shard has ended, and everything with it. */
  handleShardLost(shard: number): void {
    this.#driver.input((server, now) => server.handleShardLost(shard, now));
  }

  async drain(deadlineMs: number, signal?: AbortSignal): Promise<number> {
    signal?.throwIfAborted();
    this.#driver.input((server, now) => server.handleDrain(now));
    await this.#emptying.wait(deadlineMs, signal);
    return this.stats.server.allocations;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    for (const { listener } of this.#listeners.values()) listener.close();
    this.#listeners.clear();
    this.#lookups.close();
    this.#driver.input((server, now) => server.close(now));
    await this.#streams.close();
    this.#driver.stop();
    this.#neighbours?.close();
    await this.#datapath.close();
  }

  #udpListener(id: number, { address }: ListenSpec): UdpListener {
    return new UdpListener(id, address, this.#driver, this.#datapath, this.#egress);
  }

  /** A shard of UDP clients never loads what TCP and TLS are made of. */
  async #streamListener(id: number, { transport, address, tls }: ListenSpec): Promise<StreamListener> {
    if (transport === "tls" && tls === undefined) {
      throw new PosternError("missing-tls-identity", "A TLS listener needs a certificate and a key: give `tls`.");
    }
    const { StreamListener } = await import("./net/stream-listener.ts");
    return new StreamListener(id, address, transport === "tls" ? tls : undefined, this.#streams);
  }

  #refuseClosed(): void {
    if (this.#closing !== undefined) throw hostClosed();
  }

  #perform(output: TurnServerOutput): void {
    switch (output.kind) {
      case "send":
        return this.#egress.send(output.to, output.data, output.fields);
      case "bindRelay":
        return this.#relays.open(output.relay, output.address);
      case "releaseRelay":
        return this.#relays.close(output.relay);
      case "lookupKey":
        return this.#lookups.start(output.query, (signal) => this.#keys.find(output.user, output.realm, signal));
      case "offload":
        return this.#egress.offload(output.flow);
      case "withdraw":
        return this.#egress.withdraw(output.flow);
      case "event":
        return this.#report(output.event);
      case "tell":
      case "handOverRelay":
      case "adoptRelay":
      case "declineRelay":
        return this.#handOvers?.perform(output);
    }
  }

  #report(event: TurnServerEvent): void {
    if (event.type !== "refused") {
      const { connection } = event.allocation.client;
      if (connection !== 0) this.#streams.setAllocation(connection, event.type === "allocation-created");
      this.#emptying.look();
    }
    this.#onEvent(event);
  }
}

interface ListenerEntry {
  readonly listener: UdpListener | StreamListener;
  /** Once it is open. */
  bound: BoundListener | undefined;
}

function hostClosed(): PosternError {
  return new PosternError("closed", "This host is closed: make a new one.");
}
