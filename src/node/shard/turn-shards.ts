/**
 * A TURN server of several workers: shards, each with its part of the UDP clients, and one more for TCP and TLS where they are served. The main
 * thread opens the UDP listeners and steers each client to one shard; it looks users up, and tells everybody what
 * changes. Packets never pass it. A worker that ends takes its allocations with it and is started again on the same
 * sockets; the others notice nothing.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Address } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import type { RelayAddress, SharedSecret, TurnServerConfig } from "../../core/turn/server/config.ts";
import type { DiscoverySquare } from "../../core/turn/server/discovery-sites.ts";
import type { TurnServerEvent, UserKeys } from "../../core/turn/server/outputs.ts";
import { refuseWildcard } from "../datapath/wildcard.ts";
import { openDescriptorLimit } from "../descriptors.ts";
import { Emptying } from "../emptying.ts";
import { KeyLookups } from "../key-lookups.ts";
import type { Log } from "../log.ts";
import type { ListenSpec } from "../net/listen-spec.ts";
import { defaultStreamLimits, limitsWithin, type StreamLimits } from "../net/stream-limits.ts";
import { secureOptions, type TlsIdentity } from "../net/tls-identity.ts";
import { availableForeign } from "../sys/libc.ts";
import { type Capacity, capacityOf } from "../turn/capacity.ts";
import type { BoundListener, FindKeys, HostStats, ShardHealth, TurnService } from "../turn-service.ts";
import { CommonGround } from "./common-ground.ts";
import { forward } from "./exchange.ts";
import type { PlainIdentity, ToShard } from "./messages.ts";
import { hasEnded, type WorkerSettings } from "./shard.ts";
import { type Orders, type SeatHost, ShardSeat } from "./shard-seat.ts";
import { portShare, udpPorts } from "./shares.ts";
import { sumStats } from "./sum.ts";
import { UdpGroup } from "./udp-group.ts";

export interface TurnShardsOptions {
  /** As for one server: each worker gets its part of ports. */
  readonly config: TurnServerConfig;
  /** How many workers serve UDP; two or more. */
  readonly shards: number;
  /** Whether one more serves TCP and TLS, with relay ports of its own; it does when not told. */
  readonly servesStreams?: boolean;
  readonly wakeDelay: number;
  /** Whether the kernel forwards what goes over UDP clients' channels, where that can be. */
  readonly offload?: boolean;
  readonly offloadHelper?: string | undefined;
  readonly offloadInterfaces?: readonly string[];
  readonly keys: FindKeys;
  readonly onEvent: (event: TurnServerEvent) => void;
  readonly log: Log;
  readonly streams: Partial<StreamLimits>;
  readonly workers?: WorkerSettings;
}

/** How long `refresh` waits for a worker that is busy. */
const patienceMs = 1_000;

export class TurnShards implements TurnService {
  readonly #orders: Orders;
  readonly #seats: readonly ShardSeat[];
  readonly #emptying: Emptying = new Emptying(() => this.#allocations === 0);
  readonly #lookups: KeyLookups<Lookup, UserKeys>;
  #lastListener = 0;
  #lastAllocation = 0;
  #closing: Promise<void> | undefined;

  /**
   * Starts the workers. Throws `PosternError` `wildcard-address` when a relay is not one address, `too-few-relay-ports`, or
   * `foreign-functions-unavailable`.
   */
  constructor(options: TurnShardsOptions) {
    const {
      config,
      shards,
      servesStreams = true,
      wakeDelay,
      offload = false,
      offloadHelper,
      offloadInterfaces = [],
      streams,
      log,
      keys,
      onEvent,
    } = options;
    for (const { bound } of config.relays) refuseWildcard(bound);
    availableForeign();
    const count = servesStreams ? shards + 1 : shards;
    portShare(config.relayPorts, 0, count);
    this.#orders = {
      ...{ config, shards, count, streams, wakeDelay, offload, offloadHelper, offloadInterfaces },
      ...{ identity: undefined, squares: [], isDraining: false, listeners: new Map() },
      common: new CommonGround(config, count),
    };
    this.#lookups = new KeyLookups(({ seat, lookup, incarnation }, found) => {
      // A worker's successor counts its lookups anew: an answer to the dead would be taken for one about another user.
      if (seat.incarnation === incarnation) seat.post({ type: "keys", lookup, keys: found });
    }, log);
    const host: SeatHost = {
      handleEvent: (event) => {
        this.#emptying.look();
        onEvent(event);
      },
      lookUp: (seat, lookup, user, realm) =>
        this.#lookups.start({ seat, lookup, incarnation: seat.incarnation }, (signal) => keys(user, realm, signal)),
      handleLost: (seat) => this.#handleLost(seat),
      forward: (seat, letter) => forward(this.#seats, seat.index, letter),
      nextAllocation: () => ++this.#lastAllocation,
    };
    const settings = options.workers ?? {};
    this.#seats = Array.from({ length: count }, (_, i) => new ShardSeat(i, this.#orders, host, log, settings));
  }

  get #allocations(): number {
    return this.#seats.reduce((sum, { allocations }) => sum + allocations, 0);
  }

  get stats(): HostStats {
    const sum = sumStats(this.#seats.map(({ stats }) => stats));
    return { ...sum, server: { ...sum.server, allocations: this.#allocations } };
  }

  get shards(): readonly ShardHealth[] {
    return this.#seats.map(({ health }) => health);
  }

  get capacity(): Capacity {
    const { config, count, shards, streams } = this.#orders;
    const connections = count > shards ? limitsWithin(defaultStreamLimits, streams).connections : 0;
    const relayPorts = udpPorts(config.relayPorts, count, shards);
    return capacityOf({ ...config, relayPorts }, connections, openDescriptorLimit(), count);
  }

  get listeners(): readonly BoundListener[] {
    return [...this.#orders.listeners.values()].map(({ bound }) => bound);
  }

  async refresh(): Promise<void> {
    const asked = Promise.all(this.#seats.map((seat) => seat.refresh()));
    await Promise.race([asked, delay(patienceMs, undefined, { ref: false })]);
  }

  async listen(spec: ListenSpec): Promise<BoundListener> {
    if (this.#closing !== undefined) throw new PosternError("closed", "These shards are closed: make new ones.");
    refuseWildcard(spec.address);
    const id = ++this.#lastListener;
    return spec.transport === "udp" ? this.#listenUdp(id, spec) : this.#listenStream(id, spec);
  }

  async #listenUdp(id: number, { transport, address }: ListenSpec): Promise<BoundListener> {
    const group = new UdpGroup(address, this.#orders.shards);
    const bound = { id, transport, address: group.address };
    const listener = { bound, group };
    // From now on a worker that begins listens by itself.
    this.#orders.listeners.set(id, listener);
    const opened = await Promise.allSettled(this.#serving(transport).map((seat) => seat.listen(listener)));
    const failed = opened.flatMap((one) => (one.status === "rejected" ? [one.reason as Error] : []));
    // One that is started again soon does not keep the others from serving.
    const worst = failed.find((reason) => !hasEnded(reason)) ?? failed[0];
    if (worst === undefined || (hasEnded(worst) && failed.length < opened.length)) return bound;
    this.unlisten(bound);
    throw worst;
  }

  async #listenStream(id: number, { transport, address, tls }: ListenSpec): Promise<BoundListener> {
    if (transport === "tls") {
      if (tls === undefined) {
        throw new PosternError("missing-tls-identity", "A TLS listener needs a certificate and a key: give `tls`.");
      }
      secureOptions(tls);
      this.#orders.identity = plain(tls);
    }
    const [seat] = this.#serving(transport);
    if (seat === undefined) {
      throw new PosternError("no-stream-worker", "No worker serves TCP and TLS here: set `servesStreams`.");
    }
    const { address: at } = await seat.listen({ bound: { id, transport, address }, group: undefined });
    const bound = { id, transport, address: at ?? address };
    this.#orders.listeners.set(id, { bound, group: undefined });
    return bound;
  }

  #serving(transport: BoundListener["transport"]): readonly ShardSeat[] {
    const { shards } = this.#orders;
    return transport === "udp" ? this.#seats.slice(0, shards) : this.#seats.slice(shards);
  }

  unlisten({ id, transport }: BoundListener): void {
    const group = this.#orders.listeners.get(id)?.group;
    this.#orders.listeners.delete(id);
    const done = this.#serving(transport).map(({ shard }) => shard.run({ type: "unlisten", listener: id }));
    // Not before the workers have let go of it: the number of a closed descriptor may be somebody else's at once.
    void Promise.allSettled(done).then(() => group?.close());
  }

  updateTls(identity: TlsIdentity): void {
    secureOptions(identity);
    this.#orders.identity = plain(identity);
    for (const seat of this.#serving("tls")) seat.post({ type: "tls", identity: this.#orders.identity });
  }

  setAddresses(relays: readonly RelayAddress[], ownAddresses: readonly Readonly<Address>[]): void {
    for (const { bound } of relays) refuseWildcard(bound);
    this.#orders.config = { ...this.#orders.config, relays, ownAddresses };
    this.#orders.common.setAddresses(relays);
    this.#broadcast({ type: "addresses", relays, own: ownAddresses });
  }

  setDiscoverySquares(squares: readonly DiscoverySquare[]): void {
    this.#orders.squares = squares;
    this.#broadcast({ type: "squares", squares });
  }

  setSecrets(secrets: readonly SharedSecret[]): void {
    this.#orders.config = { ...this.#orders.config, sharedSecrets: secrets };
    this.#broadcast({ type: "secrets", secrets });
  }

  removeUser(username: string): void {
    this.#broadcast({ type: "userRemoved", username });
  }

  #handleLost({ index }: ShardSeat): void {
    this.#orders.common.handleLost(index);
    for (const seat of this.#seats) if (seat.index !== index) seat.post({ type: "shardLost", shard: index });
    this.#emptying.look();
  }

  #broadcast(message: ToShard): void {
    for (const { shard } of this.#seats) shard.post(message);
  }

  async drain(deadlineMs: number, signal?: AbortSignal): Promise<number> {
    signal?.throwIfAborted();
    this.#orders.isDraining = true;
    this.#broadcast({ type: "drain" });
    await this.#emptying.wait(deadlineMs, signal);
    return this.#allocations;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#lookups.close();
    await Promise.all(this.#seats.map(({ shard }) => shard.close()));
    for (const { group } of this.#orders.listeners.values()) group?.close();
    this.#orders.listeners.clear();
    this.#orders.common.close();
  }
}

/** Whose question it is, of which worker in that seat, and which. */
interface Lookup {
  readonly seat: ShardSeat;
  readonly incarnation: number;
  readonly lookup: number;
}

function plain({ certificate, key }: TlsIdentity): PlainIdentity {
  return { certificate, key: key.reveal() };
}
