/**
 * A shard's way to the others for packets from relay to relay: a ring to each of them and one from each, and an event for
 * each shard, which wakes it. One signal is for all that was written in a turn, and only to who waits for it.
 */
import type { Address } from "../../core/base/address.ts";
import type { IpFields } from "../../core/base/ip-fields.ts";
import { EventDescriptor } from "../sys/event-descriptor.ts";
import type { Watch } from "../sys/readiness.ts";
import { type PacketSink, RingReader, RingWriter } from "./packet-ring.ts";
import type { WaitLoop } from "./wait-loop.ts";

/** Of all shards: `rings[from][to]`, and the events that wake them; the diagonal is empty. */
export interface RingMemories {
  readonly rings: readonly (readonly (SharedArrayBuffer | undefined)[])[];
  readonly events: readonly number[];
}

/** Plain numbers that only grow. */
export interface NeighbourStats {
  /** Handed to other shards. */
  packetsOut: number;
  /** Dropped because the other shard did not keep up, or there is none. */
  full: number;
  packetsIn: number;
}

/** Packets of one ring before the next one's turn, and rounds of all before everything else in the shard has its turn. */
const batch = 64;
const roundsInTurn = 8;

/** Bytes in a ring that are not kept for the end of the turn. */
const muchUnread = 1 << 17;

export class Neighbours {
  readonly stats: NeighbourStats = { packetsOut: 0, full: 0, packetsIn: 0 };
  readonly #writers: (RingWriter | undefined)[];
  readonly #readers: RingReader[];
  readonly #events: readonly EventDescriptor[];
  readonly #own: EventDescriptor;
  readonly #sink: PacketSink;
  readonly #loop: WaitLoop;
  readonly #watch: Watch;
  readonly #isTouched: boolean[];
  readonly #wakeAll = (): void => this.#wakeTouched();
  #isWakeDue = false;
  #isClosed = false;

  /** What came for a shard of this number that is gone is dropped. */
  constructor({ rings, events }: RingMemories, index: number, loop: WaitLoop, sink: PacketSink) {
    this.#loop = loop;
    this.#writers = (rings[index] ?? []).map((memory) => memory && new RingWriter(memory));
    this.#readers = rings.flatMap((to) => to[index] ?? []).map((memory) => new RingReader(memory));
    this.#events = events.map((descriptor) => new EventDescriptor(descriptor));
    this.#own = this.#events[index] as EventDescriptor;
    this.#sink = sink;
    this.#isTouched = events.map(() => false);
    this.#watch = loop.watch(this.#own.descriptor, () => this.#takeTurn());
    this.#watch.unref();
    // Whoever had this number before may have written without waking anybody, and did not ask to be woken.
    for (const event of this.#events) event.signal();
  }

  /** The bytes are copied. Lost, and counted, where the other does not keep up. Both addresses are of one family. */
  send(
    shard: number,
    data: Uint8Array,
    offset: number,
    length: number,
    from: Readonly<Address>,
    to: Readonly<Address>,
    fields: IpFields,
  ): void {
    const writer = this.#writers[shard];
    if (writer?.write(data, offset, length, from, to, fields) !== true) {
      this.stats.full++;
      return;
    }
    this.stats.packetsOut++;
    if (writer.used > muchUnread) this.#wake(shard, writer);
    else this.#wakeLater(shard);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watch.close();
    for (const event of this.#events) event.release();
  }

  #wakeLater(shard: number): void {
    this.#isTouched[shard] = true;
    if (this.#isWakeDue) return;
    this.#isWakeDue = true;
    this.#loop.defer(this.#wakeAll);
  }

  #wakeTouched(): void {
    this.#isWakeDue = false;
    if (this.#isClosed) return;
    for (let shard = 0; shard < this.#isTouched.length; shard++) {
      if (this.#isTouched[shard] !== true) continue;
      this.#isTouched[shard] = false;
      this.#wake(shard, this.#writers[shard] as RingWriter);
    }
  }

  #wake(shard: number, writer: RingWriter): void {
    if (writer.takeWaiting()) this.#events[shard]?.signal();
  }

  #takeTurn(): void {
    if (this.#isClosed) return;
    this.#own.clear();
    for (let round = 0; round < roundsInTurn; round++) {
      let count = 0;
      for (const reader of this.#readers) count += reader.read(batch, this.#sink);
      if (this.#isClosed) return;
      this.stats.packetsIn += count;
      if (count === 0 && this.#isAsleep()) return;
    }
    this.#own.signal();
  }

  /** Whether every ring is empty, and will wake us. */
  #isAsleep(): boolean {
    let isAsleep = true;
    for (const reader of this.#readers) isAsleep = reader.wait() && isAsleep;
    return isAsleep;
  }
}
