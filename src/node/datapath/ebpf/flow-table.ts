/**
 * The flows that may be forwarded in the kernel, and those of them that are. A flow is there as long as there is a way for
 * it: routes are asked when it comes, and again whenever they have changed. What the program has counted is added to the
 * flow's own numbers now and then, and when the flow is taken back.
 */
import { sameIp } from "../../../core/base/address.ts";
import { after, type Instant } from "../../../core/base/machine.ts";
import { MediaFlow } from "../../../core/relay/media-flow.ts";
import type { Account } from "../../../core/turn/server/account.ts";
import { countOffloaded, type Flow } from "../../../core/turn/server/flow.ts";
import { instantOf, kernelTime, monotonicNow } from "../../clock.ts";
import type { Routes } from "../../sys/routes.ts";
import { Counters } from "./counters.ts";
import { forget, type HostRules, newStanding, type Standing } from "./host-rules.ts";
import type { OffloadStats } from "./offload-stats.ts";
import { type Limit, type Place, Policing } from "./policing.ts";
import { COUNTER, MAPS } from "./program.ts";
import { Qualities } from "./qualities.ts";
import { type Arrival, encodeArrival, encodeDeparture } from "./records.ts";
import type { RelayProgram } from "./relay-program.ts";

/** A flow's two ends, as this host sees them. */
export interface FlowEnds {
  readonly arrival: Arrival;
  readonly departure: Arrival;
}

type KernelFlow = Flow | MediaFlow;

interface Entry extends FlowEnds {
  readonly flow: KernelFlow;
  /** Computed once, for putting in and for taking out. */
  readonly key: Uint8Array;
  readonly index: number;
  /** In the buckets. */
  places: readonly Place<Entry>[];
  /** Until when the kernel has it. */
  until: Instant;
  /** Where its packets come in, while it is in the kernel. */
  arrivesBy: number | undefined;
  placedAt: Instant;
  /** It may not be, by the host's rules. */
  isHeldBack: boolean;
  /** With the host's own rules. */
  readonly standing: Standing;
  /** There was no way, or the kernel refused it: when it is tried again, and for how long it waits after that. */
  triesAt: Instant;
  pauseMs: number;
  /** Packets that the program saw, and user space carried, when one of its own was last seen; undefined: not yet. */
  seen: { readonly here: number; readonly carried: number } | undefined;
  /** Already added to the flow. */
  packets: number;
  bytes: number;
}

/** Fewer are all read every time. */
const readAtLeast = 256;

/** What is left to do is done for so long, in milliseconds, before packets have their turn. */
const turnMs = 5;

/** Without a change of routes: not every one is told of, and what is full or forbidden may not be later. */
const firstPauseMs = 1_000;
const longestPauseMs = 60_000;

/** Every so many calls it is seen to that the program is where it was put. */
const callsALook = 4;

/** Why packets come to user space that the program should have seen. */
const [takenOff, unseen] = [
  "the program was taken off an interface, by somebody else",
  "its packets come to user space, and are not seen where they should come in",
];

/** So many packets in user space, and none in the kernel: more than are left of the time before. */
const unseenAtMost = 16;

export class FlowTable {
  readonly #program: RelayProgram;
  readonly #routes: Routes;
  readonly #rules: HostRules;
  readonly #stats: OffloadStats;
  readonly #counters: Counters;
  readonly #qualities: Qualities;
  readonly #policing: Policing<Entry>;
  readonly #entries: Map<KernelFlow, Entry> = new Map();
  readonly #freeIndexes: number[] = [];
  #nextIndex = 0;
  /** Whose way is to be looked for again. */
  readonly #due: Set<Entry> = new Set();
  /** Since the last of them: the program may be on interfaces by which nothing comes any more. */
  #hasFollowed = false;
  /** That are yet to come, or for which there is no room. */
  readonly #waiting: Map<KernelFlow, FlowEnds> = new Map();
  readonly #capacity: number;
  /** Carried by user space, and not seen in the kernel. */
  #unseen: Entry[] = [];
  /** Taken back; a packet of theirs may still have been on its way through the program. */
  #retired: Entry[] = [];
  /** A tick ago already. */
  #settled: Entry[] = [];
  /** Whose counters are read next. */
  #turn: IterableIterator<Entry> = [].values();
  /** When it was the first one's. */
  #turnBegan: Instant = 0 as Instant;
  /** Interfaces that the program was not seen on when they were last looked at. */
  #missing: ReadonlySet<number> = new Set();
  #calls = 0;

  /** `capacity`: of flows, for tests. */
  constructor(
    program: RelayProgram,
    routes: Routes,
    rules: HostRules,
    stats: OffloadStats,
    capacity: number = MAPS.flows.entries,
  ) {
    this.#program = program;
    this.#capacity = capacity;
    this.#routes = routes;
    this.#rules = rules;
    this.#stats = stats;
    this.#counters = new Counters(program.maps.counters, program.cpus);
    this.#qualities = new Qualities(program.maps.qualities);
    this.#policing = new Policing(program.maps.buckets);
  }

  /** Throws `SystemError`, and then the flow stays in user space. Where there is no room it waits for some. */
  add(flow: KernelFlow, ends: FlowEnds): void {
    this.remove(flow);
    const entry = this.#room > 0 ? this.#newEntry(flow, ends) : undefined;
    if (entry === undefined) {
      this.#waiting.set(flow, ends);
      return this.#rules.say(`there is room for ${this.#capacity} flows in the kernel, and all of it is taken`);
    }
    this.#entries.set(flow, entry);
    this.#settle(entry);
  }

  /** Undefined where there is no room for its bandwidth. */
  #newEntry(flow: KernelFlow, ends: FlowEnds): Entry | undefined {
    const entry: Entry = {
      ...ends,
      flow,
      key: encodeArrival(ends.arrival),
      index: this.#freeIndexes.at(-1) ?? this.#nextIndex,
      places: [],
      until: flow.until,
      arrivesBy: undefined,
      placedAt: 0 as Instant,
      isHeldBack: false,
      triesAt: 0 as Instant,
      pauseMs: firstPauseMs,
      standing: newStanding(carriedOf({ flow, packets: 0 })),
      seen: undefined,
      packets: 0,
      bytes: 0,
    };
    const places = this.#policing.takeAll(limitsOf(flow), entry);
    if (places === undefined) return undefined;
    entry.places = places;
    if (this.#freeIndexes.pop() === undefined) this.#nextIndex++;
    return entry;
  }

  /** As `add`, when there is time: see `goOn`. */
  enqueue(flow: KernelFlow, ends: FlowEnds): void {
    this.#waiting.set(flow, ends);
  }

  get #room(): number {
    return this.#freeIndexes.length + this.#capacity - this.#nextIndex;
  }

  /** None of its packets is forwarded any more when this returns. Throws `SystemError`. */
  remove(flow: KernelFlow): void {
    this.#waiting.delete(flow);
    const entry = this.#entries.get(flow);
    if (entry === undefined) return;
    this.#entries.delete(flow);
    this.#due.delete(entry);
    this.#retired.push(entry);
    this.#takeOut(entry);
    this.#count(entry);
    for (const place of entry.places) this.#settleLimit(place);
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
    const [next] = this.#room > 0 ? this.#waiting : [];
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
    this.#heedLosses();
    const due = Math.max(readAtLeast, this.#entries.size >> 4);
    for (let i = 0; i < due && i < this.#entries.size; i++) {
      let { value: entry } = this.#turn.next();
      if (entry === undefined) {
        this.#turn = this.#entries.values();
        this.#turnBegan = monotonicNow();
        entry = this.#turn.next().value;
      }
      if (entry !== undefined) this.#look(entry);
    }
    this.#giveUp();
  }

  #look(entry: Entry): void {
    for (const place of entry.places) if (place.at <= this.#turnBegan) this.#settleLimit(place);
    if (entry.places.length === 0 && entry.arrivesBy !== undefined) this.#count(entry);
    const isAllowed = this.#isAllowed(entry);
    const isThere = entry.arrivesBy !== undefined;
    const isDue = isAllowed ? isThere && entry.flow.until !== entry.until : isThere;
    if (isDue || (isAllowed && entry.isHeldBack)) this.#settle(entry);
    else if (isAllowed && !isThere && monotonicNow() >= entry.triesAt) this.#due.add(entry);
  }

  /** What everybody has carried who shares this bandwidth counts at the same time. */
  #settleLimit(place: Place<Entry>): void {
    for (const user of place.users) this.#count(user);
    this.#policing.settle(place);
  }

  #isAllowed(entry: Entry): boolean {
    const { standing, arrival, departure } = entry;
    return this.#rules.allow(standing, [arrival, departure], carriedOf(entry), monotonicNow());
  }

  #settle(entry: Entry): void {
    try {
      this.#place(entry);
    } catch (error) {
      // Never by a way that is not the one of now.
      this.#takeOut(entry);
      throw error;
    } finally {
      const isRefused = entry.arrivesBy === undefined && !entry.isHeldBack;
      if (isRefused) entry.triesAt = after(monotonicNow(), entry.pauseMs);
      entry.pauseMs = isRefused ? Math.min(2 * entry.pauseMs, longestPauseMs) : firstPauseMs;
    }
  }

  #place(entry: Entry): void {
    const { arrival, departure, index, places, flow } = entry;
    const [here, there] = [this.#way(arrival), this.#way(departure)];
    entry.isHeldBack = !this.#isAllowed(entry);
    const hasWay = here !== undefined && there !== undefined;
    if (!hasWay || entry.isHeldBack || here.interface !== entry.arrivesBy) this.#takeOut(entry);
    if (!hasWay || entry.isHeldBack) return;
    for (const index of [here.interface, ...this.#routes.named]) this.#program.attach(index);
    const { key, value } = this.#program.maps.flows;
    key.bytes.set(entry.key);
    const [bucket = 0, otherBucket = 0] = places.map((place) => place.index);
    const media = flow instanceof MediaFlow ? flow.traits : undefined;
    if (media !== undefined && entry.arrivesBy === undefined) this.#qualities.begin(index, media);
    if (entry.arrivesBy === undefined) entry.placedAt = monotonicNow();
    // Whatever has gone up since then is not known here: there is one more at the most.
    const [expires, passed] = [kernelTime(flow.until), kernelTime(entry.placedAt)];
    value.bytes.set(encodeDeparture({ ...departure, index, bucket, otherBucket, expires, passed, ...there, media }));
    this.#program.maps.flows.put();
    entry.until = flow.until;
    if (entry.arrivesBy === undefined) this.#stats.flows++;
    entry.arrivesBy = here.interface;
  }

  #way({ local, remote }: Arrival) {
    return sameIp(local, remote) ? undefined : this.#routes.find(local, remote);
  }

  #takeOut(entry: Entry): void {
    if (entry.arrivesBy === undefined) return;
    entry.arrivesBy = undefined;
    entry.seen = undefined;
    this.#stats.flows--;
    const { flows } = this.#program.maps;
    flows.key.bytes.set(entry.key);
    flows.remove();
  }

  #count(entry: Entry): void {
    const numbers = this.#counters.read(entry.index, COUNTER.packets, COUNTER.bytes, COUNTER.up);
    const [packets, bytes, up] = numbers as [number, number, number];
    if (entry.arrivesBy !== undefined) this.#compare(entry, packets + up);
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

  /** Whether what user space carries of it has been seen by the program. */
  #compare(entry: Entry, here: number): void {
    const carried = carriedOf(entry);
    const since = entry.seen;
    if (since === undefined || since.here !== here) entry.seen = { here, carried };
    else if (carried - since.carried > unseenAtMost) this.#unseen.push(entry);
  }

  /** And what goes the other way, which would leave with addresses that are not the right ones either. */
  #giveUp(): void {
    if (this.#unseen.length === 0) return;
    const unseenOnes = new Set(this.#unseen);
    this.#unseen = [];
    const [by, lost] = [new Set([...unseenOnes].map(({ arrivesBy }) => arrivesBy)), this.#program.lost()];
    for (const index of lost) if (by.has(index)) this.#leave(index);
    const ones = [...unseenOnes].filter(({ arrivesBy }) => arrivesBy !== undefined);
    const back = new Set(ones.map(({ departure }) => textOf(encodeArrival(departure))));
    if (back.size === 0) return;
    for (const one of this.#entries.values()) {
      if (unseenOnes.has(one) || back.has(textOf(one.key))) this.#rest(one, unseen);
    }
  }

  /** An interface that is gone loses the program too, and a tick later its flows have another way, or none. */
  #heedLosses(): void {
    if (this.#calls++ % callsALook !== 0) return;
    const lost = this.#program.lost();
    for (const index of lost) if (this.#missing.has(index)) this.#leave(index);
    this.#missing = new Set(lost);
  }

  #leave(interfaceIndex: number): void {
    this.#program.forget(interfaceIndex);
    for (const entry of this.#entries.values()) {
      if (entry.arrivesBy === interfaceIndex) this.#rest(entry, takenOff);
    }
  }

  #rest(entry: Entry, why: string): void {
    this.#rules.rest(entry.standing, why, monotonicNow());
    entry.isHeldBack = true;
    this.#takeOut(entry);
  }

  /** Nothing of it is on its way any more: the number may be another's. */
  #finish(entry: Entry): void {
    this.#count(entry);
    this.#counters.clear(entry.index);
    for (const place of entry.places) this.#policing.release(place, entry);
    this.#freeIndexes.push(entry.index);
  }
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
}

/** By user space. */
function carriedOf({ flow, packets }: Pick<Entry, "flow" | "packets">): number {
  return (flow instanceof MediaFlow ? flow.departure.packets : flow.packets) - packets;
}

/** Toward the peer the sender's, toward the client the receiver's, and from client to client both. */
function limitsOf(flow: KernelFlow): Limit[] {
  if (flow instanceof MediaFlow) return [];
  const { toward, account, sender } = flow;
  const own = toward === "peer" ? uplinkOf(account) : downlinkOf(account);
  return [...own, ...(sender === undefined ? [] : uplinkOf(sender.account))];
}

function uplinkOf(account: Account): Limit[] {
  return account.uplink === undefined ? [] : [{ bucket: account.uplink, account, way: "bytesToPeers" }];
}

function downlinkOf(account: Account): Limit[] {
  return account.downlink === undefined ? [] : [{ bucket: account.downlink, account, way: "bytesToClient" }];
}
