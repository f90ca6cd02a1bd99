/**
 * The place of one shard, which one worker after the other takes: what each is told when it begins, what has become of its
 * allocations, and what all of them have counted.
 */
import { setTimeout as delay } from "node:timers/promises";
import { formatAddress } from "../../core/base/address.ts";
import type { PosternError } from "../../core/base/failure.ts";
import type { TurnServerConfig } from "../../core/turn/server/config.ts";
import type { DiscoverySquare } from "../../core/turn/server/discovery-sites.ts";
import type { TurnServerEvent, UserQuery } from "../../core/turn/server/outputs.ts";
import type { Log } from "../log.ts";
import type { BoundListener, HostStats, ShardHealth } from "../turn-service.ts";
import type { CommonGround } from "./common-ground.ts";
import type { Correspondent, Letter } from "./exchange.ts";
import type { FromShard, PlainIdentity, ShardData, ShardTask, TaskResult, ToShard } from "./messages.ts";
import { hasEnded, Shard, type ShardOwner, type WorkerSettings } from "./shard.ts";
import { portShare } from "./shares.ts";
import { continued, noStats, remains, sumStats } from "./sum.ts";
import type { UdpGroup } from "./udp-group.ts";

/** A listener that is open. */
export interface OpenListener {
  readonly bound: BoundListener;
  /** Of UDP. */
  readonly group: UdpGroup | undefined;
}

/** What is true for all workers now, and what a new one has to be told. */
export interface Orders
  extends Pick<ShardData, "count" | "wakeDelay" | "offload" | "offloadHelper" | "offloadInterfaces" | "streams"> {
  /** How many of the workers serve UDP. */
  readonly shards: number;
  /** As configured for all of them together. */
  config: TurnServerConfig;
  identity: PlainIdentity | undefined;
  squares: readonly DiscoverySquare[];
  isDraining: boolean;
  readonly listeners: Map<number, OpenListener>;
  readonly common: CommonGround;
}

export interface SeatHost {
  handleEvent(event: TurnServerEvent): void;
  /** Answered by a message `keys`. */
  lookUp(seat: ShardSeat, lookup: number, user: UserQuery, realm: string): void;
  handleLost(seat: ShardSeat): void;
  /** For another shard. */
  forward(seat: ShardSeat, letter: Letter): void;
  /** A number for an allocation that no other in this process has. */
  nextAllocation(): number;
}

/** Between tries to have a port again; each is twice the one before. */
const firstPauseMs = 100;
const longestPauseMs = 30_000;

export class ShardSeat implements ShardOwner, Correspondent {
  readonly shard: Shard;
  readonly index: number;
  readonly #orders: Orders;
  readonly #host: SeatHost;
  readonly #log: Log;
  /** Live ones: the number that is told by the worker's own. */
  readonly #allocations: Map<number, number> = new Map();
  #lost = 0;
  /** Those that this worker could not open: why, when last tried. */
  readonly #lostListeners: Map<number, string> = new Map();
  /** Of workers that have ended. */
  #past: HostStats = noStats();
  /** Of the one that is there, when it was last asked, and of the listeners that it has from those before. */
  #latest: HostStats = noStats();

  constructor(index: number, orders: Orders, host: SeatHost, log: Log, settings: WorkerSettings) {
    this.index = index;
    this.#orders = orders;
    this.#host = host;
    this.#log = log;
    this.shard = new Shard(index < orders.shards ? `udp ${index}` : "streams", this, settings);
  }

  get isUp(): boolean {
    return this.shard.isUp;
  }

  get incarnation(): number {
    return this.#orders.common.incarnation(this.index);
  }

  post(message: ToShard): void {
    this.shard.post(message);
  }

  give(descriptor: number): void {
    this.shard.give(descriptor);
  }

  get allocations(): number {
    return this.#allocations.size;
  }

  get stats(): HostStats {
    return sumStats([this.#past, this.#latest]);
  }

  get health(): ShardHealth {
    const { name, isUp, isStuck, failures } = this.shard;
    // Whoever closed one does not miss it, though it is tried once more.
    const wanted = [...this.#lostListeners.keys()].filter((id) => this.#orders.listeners.has(id));
    return { name, isUp, isStuck, failures, lost: this.#lost, lostListeners: wanted.length };
  }

  /** Asks the worker what it has counted; what is not answered stays as it was. */
  async refresh(): Promise<void> {
    const result = await this.shard.run({ type: "stats" }).catch(() => undefined);
    if (result?.stats !== undefined) this.#latest = continued(result.stats, this.#latest);
  }

  data(): Omit<ShardData, "descriptors" | "pulse"> {
    const { config, count, shards, wakeDelay, offload, offloadHelper, offloadInterfaces, streams, common } =
      this.#orders;
    const { index, incarnation } = this;
    const relayPorts = portShare(config.relayPorts, index, count);
    return {
      index,
      count,
      incarnation,
      config: { ...config, relayPorts },
      wakeDelay,
      streams,
      common: common.memory,
      offload: offload && index < shards,
      offloadHelper,
      offloadInterfaces,
    };
  }

  begin(): void {
    const { listeners, isDraining } = this.#orders;
    this.#lostListeners.clear();
    if (isDraining) this.shard?.post({ type: "drain" });
    for (const one of listeners.values()) if (this.#serves(one)) void this.#reopen(one);
  }

  /**
   * For a worker that begins. While there was none, somebody may have taken the port: it is tried again for as long as this
   * worker is there and it is listened on.
   */
  async #reopen(listener: OpenListener): Promise<void> {
    const { incarnation } = this;
    const { id, transport, address } = listener.bound;
    const what = { shard: this.shard.name, listener: `${transport} ${formatAddress(address)}` };
    for (let tries = 0; this.incarnation === incarnation && this.#orders.listeners.has(id); tries++) {
      const failure = await this.listen(listener).then(
        () => undefined,
        (error: Error) => error,
      );
      if (failure === undefined) return this.#handleOpen(id, what, tries);
      if (hasEnded(failure)) return;
      const why = (failure as NodeJS.ErrnoException).code ?? failure.message;
      if (this.#lostListeners.get(id) !== why) this.#log.warn({ ...what, err: failure }, "listener-lost");
      this.#lostListeners.set(id, why);
      await delay(Math.min(firstPauseMs * 2 ** tries, longestPauseMs), undefined, { ref: false });
    }
  }

  #handleOpen(id: number, what: object, tries: number): void {
    const { listeners, squares } = this.#orders;
    this.#lostListeners.delete(id);
    if (tries > 0) this.#log.info({ ...what, tries }, "listener-back");
    if (listeners.has(id)) this.shard.post({ type: "squares", squares });
    // Whoever closed it meanwhile was told that it was not open.
    else void this.shard.run({ type: "unlisten", listener: id }).catch(() => {});
  }

  #serves({ bound }: OpenListener): boolean {
    return (bound.transport === "udp") === this.index < this.#orders.shards;
  }

  listen({ bound: { id, transport, address }, group }: OpenListener): Promise<TaskResult> {
    const sockets = group?.pairs[this.index];
    const identity = transport === "tls" ? this.#orders.identity : undefined;
    const task: ShardTask = { type: "listen", listener: id, transport, address, identity, sockets };
    return this.shard.run(task);
  }

  handle(message: Exclude<FromShard, { type: "ready" | "done" }>): void {
    switch (message.type) {
      case "event":
        return this.#tell(message.event);
      case "lookup":
        return this.#host.lookUp(this, message.lookup, message.user, message.realm);
      case "toShard":
        return this.#host.forward(this, message);
      case "log":
        return this.#log[message.level]({ ...message.fields, shard: this.shard.name }, message.event);
    }
  }

  #tell(event: TurnServerEvent): void {
    if (event.type === "refused") return this.#host.handleEvent(event);
    const own = event.allocation.id;
    const id = this.#allocations.get(own) ?? this.#host.nextAllocation();
    if (event.type === "allocation-created") this.#allocations.set(own, id);
    else this.#allocations.delete(own);
    this.#host.handleEvent({ ...event, allocation: { ...event.allocation, id } });
  }

  handleHung(cause: PosternError): void {
    this.#log.warn({ shard: this.shard.name, err: cause }, "shard-hung");
  }

  handleStuck(cause: PosternError): void {
    this.#log.error({ shard: this.shard.name, err: cause }, "shard-stuck");
  }

  handleLost(cause: Error, restartMs: number): void {
    const lost = [...this.#allocations.values()];
    this.#allocations.clear();
    this.#lost += lost.length;
    this.#past = sumStats([this.#past, remains(this.#latest)]);
    this.#latest = continued(noStats(), this.#latest);
    const { name } = this.shard;
    this.#log.error({ shard: name, lost: lost.length, restartMs, err: cause }, "shard-ended");
    for (const allocation of lost) this.#log.debug({ shard: name, allocation }, "allocation-lost");
    this.#host.handleLost(this);
  }
}
