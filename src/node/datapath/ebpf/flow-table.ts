/**
 * The flows that may be forwarded in the kernel, and those of them that are. A flow is there as long as there is a way for
 * it: routes are asked when it comes, and again whenever they have changed. What the program has counted is added to the
 * flow's own numbers now and then, and when the flow is taken back.
 */
import { sameIp } from "../../../core/base/address.ts";
import type { Instant } from "../../../core/base/machine.ts";
import type { TokenBucket } from "../../../core/base/token-bucket.ts";
import { MediaFlow } from "../../../core/relay/media-flow.ts";
import { countOffloaded, type Flow } from "../../../core/turn/server/flow.ts";
import { instantOf, kernelTime, monotonicNow } from "../../clock.ts";
import type { Routes } from "../../sys/routes.ts";
import { Counters } from "./counters.ts";
import type { OffloadStats } from "./offload-stats.ts";
import { Policing } from "./policing.ts";
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
  /** As `limits` are. */
  readonly buckets: readonly number[];
  readonly limits: readonly TokenBucket[];
  /** Until when the kernel has it. */
  until: Instant;
  /** Where its packets come in, while it is in the kernel. */
  arrivesBy: number | undefined;
  /** Already added to the flow. */
  packets: number;
  bytes: number;
}

/** Fewer are all read every time. */
const readAtLeast = 256;

export class FlowTable {
  readonly #program: RelayProgram;
  readonly #routes: Routes;
  readonly #stats: OffloadStats;
  readonly #counters: Counters;
  readonly #qualities: Qualities;
  readonly #policing: Policing;
  readonly #entries: Map<KernelFlow, Entry> = new Map();
  readonly #freeIndexes: number[] = [];
  #nextIndex = 0;
  /** Taken back; a packet of theirs may still have been on its way through the program. */
  #retired: Entry[] = [];
  /** A tick ago already. */
  #settled: Entry[] = [];
  /** Whose counters are read next. */
  #turn: IterableIterator<Entry> = [].values();

  constructor(program: RelayProgram, routes: Routes, stats: OffloadStats) {
    this.#program = program;
    this.#routes = routes;
    this.#stats = stats;
    this.#counters = new Counters(program.maps.counters, program.cpus);
    this.#qualities = new Qualities(program.maps.qualities);
    this.#policing = new Policing(program.maps.buckets);
  }

  /** Throws `SystemError`, and then the flow stays in user space. */
  add(flow: KernelFlow, ends: FlowEnds): void {
    this.remove(flow);
    const index = this.#freeIndexes.pop() ?? (this.#nextIndex < MAPS.flows.entries ? this.#nextIndex++ : undefined);
    if (index === undefined) return;
    const limits = limitsOf(flow);
    const buckets = this.#policing.takeAll(limits);
    if (buckets === undefined) return void this.#freeIndexes.push(index);
    const key = encodeArrival(ends.arrival);
    const { until } = flow;
    const counted = { arrivesBy: undefined, packets: 0, bytes: 0 };
    const entry: Entry = { ...ends, flow, key, index, buckets, limits, until, ...counted };
    this.#entries.set(flow, entry);
    this.#settle(entry);
  }

  /** None of its packets is forwarded any more when this returns. Throws `SystemError`. */
  remove(flow: KernelFlow): void {
    const entry = this.#entries.get(flow);
    if (entry === undefined) return;
    this.#entries.delete(flow);
    for (const limit of entry.limits) this.#policing.giveBack(limit);
    this.#retired.push(entry);
    this.#takeOut(entry);
    this.#count(entry);
  }

  /** Looks for every flow's way again. Throws `SystemError` when one cannot be put in, after all have been looked at. */
  follow(): void {
    let failure: unknown;
    const arrivals = new Set<number>();
    for (const entry of this.#entries.values()) {
      try {
        this.#settle(entry);
      } catch (error) {
        failure = error;
      }
      if (entry.arrivesBy !== undefined) arrivals.add(entry.arrivesBy);
    }
    this.#program.keepAttached(arrivals);
    if (failure !== undefined) throw failure;
  }

  /** Adds what some of the flows have carried meanwhile; a few calls later it was all of them. Throws `SystemError`. */
  count(): void {
    for (const entry of this.#settled) this.#finish(entry);
    this.#settled = this.#retired;
    this.#retired = [];
    if (this.#stats.flows === 0) this.#program.keepAttached(new Set());
    const due = Math.max(readAtLeast, this.#entries.size >> 4);
    for (let i = 0; i < due && i < this.#entries.size; i++) {
      let { value: entry } = this.#turn.next();
      if (entry === undefined) {
        this.#turn = this.#entries.values();
        entry = this.#turn.next().value;
      }
      if (entry?.arrivesBy === undefined) continue;
      this.#count(entry);
      if (entry.flow.until !== entry.until) this.#settle(entry);
    }
  }

  #settle(entry: Entry): void {
    try {
      this.#place(entry);
    } catch (error) {
      // Never by a way that is not the one of now.
      this.#takeOut(entry);
      throw error;
    }
  }

  #place(entry: Entry): void {
    const { arrival, departure, index, buckets, flow } = entry;
    const [here, there] = [this.#way(arrival), this.#way(departure)];
    if (here === undefined || there === undefined || here.interface !== entry.arrivesBy) this.#takeOut(entry);
    if (here === undefined || there === undefined) return;
    this.#program.attach(here.interface);
    const { key, value } = this.#program.maps.flows;
    key.bytes.set(entry.key);
    const [bucket = 0, otherBucket = 0] = buckets;
    const media = flow instanceof MediaFlow ? flow.traits : undefined;
    if (media !== undefined && entry.arrivesBy === undefined) this.#qualities.begin(index, media);
    const [expires, passed] = [kernelTime(flow.until), kernelTime(monotonicNow())];
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
    this.#stats.flows--;
    const { flows } = this.#program.maps;
    flows.key.bytes.set(entry.key);
    flows.remove();
  }

  #count(entry: Entry): void {
    const [packets, bytes] = this.#counters.read(entry.index, COUNTER.packets, COUNTER.bytes) as [number, number];
    const { flow, index } = entry;
    const [more, longer] = [packets - entry.packets, bytes - entry.bytes];
    if (flow instanceof MediaFlow) this.#tell(flow, index, more, longer);
    else if (more > 0) countOffloaded(flow, more, longer, monotonicNow());
    entry.packets = packets;
    entry.bytes = bytes;
  }

  #tell(flow: MediaFlow, index: number, packets: number, bytes: number): void {
    const lastAt = instantOf(this.#counters.latest(COUNTER.last));
    const quality = this.#qualities.read(index, flow.traits.clockRate);
    flow.handleForwarded({ packets, bytes, lastAt, now: monotonicNow(), ...quality });
  }

  /** Nothing of it is on its way any more: the number may be another's. */
  #finish(entry: Entry): void {
    this.#count(entry);
    this.#counters.clear(entry.index);
    this.#freeIndexes.push(entry.index);
  }
}

/** Of what it may carry: toward the peer the sender's, toward the client the receiver's, and from client to client both. */
function limitsOf(flow: KernelFlow): TokenBucket[] {
  if (flow instanceof MediaFlow) return [];
  const { toward, account, sender } = flow;
  const limits = [toward === "peer" ? account.uplink : account.downlink, sender?.account.uplink];
  return limits.filter((limit) => limit !== undefined);
}
