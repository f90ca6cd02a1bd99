/**
 * The flows that may be forwarded in the kernel, and those of them that are. A flow is there as long as there is a way for
 * it: routes are asked when it comes, and again whenever they have changed. What the program has counted is added to the
 * flow's own numbers now and then, and when the flow is taken back.
 */
import { sameIp } from "../../../core/base/address.ts";
import type { Instant } from "../../../core/base/machine.ts";
import { MediaFlow } from "../../../core/relay/media-flow.ts";
import { countOffloaded } from "../../../core/turn/server/flow.ts";
import { instantOf, kernelTime, monotonicNow } from "../../clock.ts";
import type { Routes } from "../../sys/routes.ts";
import { Counters } from "./counters.ts";
import {
  carriedOf,
  type FlowEnds,
  type FlowEntry,
  type KernelFlow,
  limitsOf,
  newEntry,
  setPause,
} from "./flow-entry.ts";
import { FlowRoom } from "./flow-room.ts";
import { forget, type HostRules } from "./host-rules.ts";
import { Lookout } from "./lookout.ts";
import type { OffloadStats } from "./offload-stats.ts";
import { type Place, Policing } from "./policing.ts";
import { COUNTER, MAPS } from "./program.ts";
import { Qualities } from "./qualities.ts";
import { type Arrival, putFlow } from "./records.ts";
import type { RelayProgram } from "./relay-program.ts";

/** Fewer are all read every time. */
const readAtLeast = 256;

/** What is left to do is done for so long, in milliseconds, before packets have their turn. */
const turnMs = 5;

export class FlowTable {
  readonly #program: RelayProgram;
  readonly #routes: Routes;
  readonly #rules: HostRules;
  readonly #stats: OffloadStats;
  readonly #counters: Counters;
  readonly #qualities: Qualities;
  readonly #policing: Policing<FlowEntry>;
  readonly #entries: Map<KernelFlow, FlowEntry> = new Map();
  readonly #room: FlowRoom;
  readonly #lookout: Lookout;
  /** Whose way is to be looked for again. */
  readonly #due: Set<FlowEntry> = new Set();
  /** Since the last of them: the program may be on interfaces by which nothing comes any more. */
  #hasFollowed = false;
  /** Taken back; a packet of theirs may still have been on its way through the program. */
  #retired: FlowEntry[] = [];
  /** A tick ago already. */
  #settled: FlowEntry[] = [];
  /** Whose counters are read next. */
  #turn: IterableIterator<FlowEntry> = [].values();
  /** When it was the first one's. */
  #turnBegan: Instant = 0 as Instant;
  /** Of counters, in this call of `count`: whose bandwidth others share is read with them. */
  #reads = 0;
  /** `capacity`: of flows, for tests. */
  constructor(
    program: RelayProgram,
    routes: Routes,
    rules: HostRules,
    stats: OffloadStats,
    capacity: number = MAPS.flows.entries,
  ) {
    this.#program = program;
    this.#room = new FlowRoom(capacity);
    this.#routes = routes;
    this.#rules = rules;
    this.#stats = stats;
    this.#counters = new Counters(program.maps.counters, program.cpus);
    this.#qualities = new Qualities(program.maps.qualities);
    this.#policing = new Policing(program.maps.buckets);
    this.#lookout = new Lookout(program, this.#entries, (entry, why) => this.#rest(entry, why));
  }

  /** Throws `SystemError`, and then the flow stays in user space. Where there is no room it waits for some. */
  add(flow: KernelFlow, ends: FlowEnds): void {
    this.remove(flow);
    const entry = this.#admit(flow, ends);
    if (entry !== undefined) return this.#settle(entry);
    this.#room.wait(flow, ends);
    this.#rules.say(`there is room for ${this.#room.capacity} flows in the kernel, and all of it is taken`);
  }

  /** Undefined where there is no room for it, or for its bandwidth. */
  #admit(flow: KernelFlow, ends: FlowEnds): FlowEntry | undefined {
    const index = this.#room.free;
    if (index === undefined) return undefined;
    const entry = newEntry(flow, ends, index);
    const places = this.#policing.takeAll(limitsOf(flow), entry);
    if (places === undefined) return undefined;
    this.#room.take();
    entry.places = places;
    this.#entries.set(flow, entry);
    return entry;
  }

  /** As `add`, when there is time: see `goOn`. */
  enqueue(flow: KernelFlow, ends: FlowEnds): void {
    this.#room.wait(flow, ends);
  }

  /** None of its packets is forwarded any more when this returns. Throws `SystemError`. */
  remove(flow: KernelFlow): void {
    this.#room.leave(flow);
    const entry = this.#entries.get(flow);
    if (entry === undefined) return;
    this.#entries.delete(flow);
    this.#due.delete(entry);
    this.#retired.push(entry);
    this.#takeOut(entry);
    this.#count(entry);
    // Of many flows that end together each would read all others: the last one does, and the turn when some go on.
    for (const place of entry.places) if (--place.living === 0) this.#settleLimit(place);
  }

  /** Looks for every flow's way again, those first that have waited for it longest: see `goOn`. */
  follow(): void {
    for (const entry of this.#entries.values()) this.#due.add(entry);
    this.#hasFollowed = true;
  }

  /** What flows have shown of the host's rules they have to show again. */
  showAgain(): void {
    for (const { standing } of this.#entries.values()) forget(standing);
    this.follow();
  }

  /**
   * Does some of what is left to do: thousands of flows take longer than packets may wait. True when there is more. Throws
   * `SystemError` when one cannot be put in, and then the others are still to come.
   */
  goOn(): boolean {
    const end = monotonicNow() + turnMs;
    while (this.#settleNext() || this.#admitNext()) if (monotonicNow() >= end) return true;
    if (this.#hasFollowed) this.#leaveUnused();
    return false;
  }

  #settleNext(): boolean {
    const [entry] = this.#due;
    if (entry === undefined) return false;
    this.#due.delete(entry);
    this.#settle(entry);
    return true;
  }

  /** Of those that wait, as far as there is room. */
  #admitNext(): boolean {
    const { next } = this.#room;
    if (next === undefined) return false;
    this.add(...next);
    return this.#entries.has(next[0]);
  }

  #leaveUnused(): void {
    this.#hasFollowed = false;
    const arrivals = new Set<number>();
    for (const { arrivesBy } of this.#entries.values()) if (arrivesBy !== undefined) arrivals.add(arrivesBy);
    if (arrivals.size > 0) for (const index of this.#routes.named) arrivals.add(index);
    this.#program.keepAttached(arrivals);
  }

  /**
   * Reads for the last time what was taken back before the last call: nothing of it is on its way any more. True when
   * nothing is left. Throws `SystemError`.
   */
  finish(): boolean {
    for (const entry of this.#settled) this.#finish(entry);
    this.#settled = this.#retired;
    this.#retired = [];
    return this.#settled.length === 0;
  }

  /** Adds what some of the flows have carried meanwhile; a few calls later it was all of them. Throws `SystemError`. */
  count(): void {
    this.finish();
    if (this.#stats.flows === 0) this.#program.keepAttached(new Set());
    this.#lookout.heedLosses();
    const due = Math.max(readAtLeast, this.#entries.size >> 4);
    this.#reads = 0;
    for (let i = 0; i < due && i < this.#entries.size && this.#reads < 2 * due; i++) {
      let { value: entry } = this.#turn.next();
      if (entry === undefined) {
        this.#turn = this.#entries.values();
        this.#turnBegan = monotonicNow();
        entry = this.#turn.next().value;
      }
      if (entry !== undefined) this.#look(entry);
    }
    this.#lookout.giveUp();
  }

  #look(entry: FlowEntry): void {
    for (const place of entry.places) if (place.at <= this.#turnBegan) this.#settleLimit(place);
    if (entry.places.length === 0 && entry.arrivesBy !== undefined) this.#count(entry);
    const isAllowed = this.#isAllowed(entry);
    const isThere = entry.arrivesBy !== undefined;
    const isDue = isAllowed ? isThere && entry.flow.until !== entry.until : isThere;
    if (isDue || (isAllowed && entry.isHeldBack)) this.#settle(entry);
    else if (isAllowed && !isThere && monotonicNow() >= entry.triesAt) this.#due.add(entry);
  }

  /** What everybody has carried who shares this bandwidth counts at the same time. */
  #settleLimit(place: Place<FlowEntry>): void {
    for (const user of place.users) this.#count(user);
    this.#policing.settle(place);
  }

  #isAllowed(entry: FlowEntry): boolean {
    const { standing, arrival, departure } = entry;
    return this.#rules.allow(standing, [arrival, departure], carriedOf(entry), monotonicNow());
  }

  #settle(entry: FlowEntry): void {
    try {
      this.#place(entry);
    } catch (error) {
      // Never by a way that is not the one of now.
      this.#takeOut(entry);
      throw error;
    } finally {
      setPause(entry, monotonicNow());
    }
  }

  #place(entry: FlowEntry): void {
    const { arrival, departure, index, places, flow } = entry;
    const [here, there] = [this.#way(arrival), this.#way(departure)];
    entry.isHeldBack = !this.#isAllowed(entry);
    const hasWay = here !== undefined && there !== undefined;
    if (!hasWay || entry.isHeldBack || here.interface !== entry.arrivesBy) this.#takeOut(entry);
    if (!hasWay || entry.isHeldBack) return;
    for (const index of [here.interface, ...this.#routes.named]) this.#program.attach(index);
    const [bucket = 0, otherBucket = 0] = places.map((place) => place.index);
    const media = flow instanceof MediaFlow ? flow.traits : undefined;
    if (media !== undefined && entry.arrivesBy === undefined) this.#qualities.begin(index, media);
    if (entry.arrivesBy === undefined) entry.placedAt = monotonicNow();
    // Whatever has gone up since then is not known here: there is one more at the most.
    const [expires, passed] = [kernelTime(flow.until), kernelTime(entry.placedAt)];
    const leaves = { ...departure, index, bucket, otherBucket, expires, passed, ...there, media };
    putFlow(this.#program.maps, entry.key, leaves);
    entry.until = flow.until;
    if (entry.arrivesBy === undefined) this.#stats.flows++;
    entry.arrivesBy = here.interface;
  }

  #way({ local, remote }: Arrival) {
    return sameIp(local, remote) ? undefined : this.#routes.find(local, remote);
  }

  #takeOut(entry: FlowEntry): void {
    if (entry.arrivesBy === undefined) return;
    const { numbers } = this.#program.maps;
    numbers.key.bytes.set(entry.key);
    numbers.remove();
    entry.arrivesBy = undefined;
    entry.seen = undefined;
    this.#stats.flows--;
  }

  #count(entry: FlowEntry): void {
    this.#reads++;
    const numbers = this.#counters.read(entry.index, COUNTER.packets, COUNTER.bytes, COUNTER.up);
    const [packets, bytes, up] = numbers as [number, number, number];
    if (entry.arrivesBy !== undefined) this.#lookout.compare(entry, packets + up);
    const { flow, index } = entry;
    const [more, longer] = [packets - entry.packets, bytes - entry.bytes];
    if (more === 0) return;
    if (flow instanceof MediaFlow) this.#tell(flow, index, more, longer);
    else countOffloaded(flow, more, longer);
    entry.packets = packets;
    entry.bytes = bytes;
  }

  #tell(flow: MediaFlow, index: number, packets: number, bytes: number): void {
    const lastAt = instantOf(this.#counters.latest(COUNTER.last));
    const quality = this.#qualities.read(index, flow.traits.clockRate);
    flow.handleForwarded({ packets, bytes, lastAt, ...quality });
  }

  #rest(entry: FlowEntry, why: string): void {
    this.#rules.rest(entry.standing, why, monotonicNow());
    entry.isHeldBack = true;
    this.#takeOut(entry);
  }

  /** Nothing of it is on its way any more: the number may be another's. */
  #finish(entry: FlowEntry): void {
    this.#count(entry);
    this.#counters.clear(entry.index);
    for (const place of entry.places) this.#policing.release(place, entry);
    this.#room.giveBack(entry.index);
  }
}
