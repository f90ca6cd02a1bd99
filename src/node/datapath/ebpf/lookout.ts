/**
 * Whether the program still sees what it should: whoever administers the host can take it off an interface, and what rewrites
 * addresses before it makes packets look like others. Flows that are missed are left to user space for a while.
 */
import { carriedOf, type FlowEntry } from "./flow-entry.ts";
import { encodeArrival } from "./records.ts";
import type { RelayProgram } from "./relay-program.ts";

/** Every so many calls it is seen to that the program is where it was put. */
const callsALook = 4;

/** Why packets come to user space that the program should have seen. */
const [takenOff, unseen] = [
  "the program was taken off an interface, by somebody else",
  "its packets come to user space, and are not seen where they should come in",
];

/** So many packets in user space, and none in the kernel: more than are left of the time before. */
const unseenAtMost = 16;

export class Lookout {
  readonly #program: RelayProgram;
  readonly #entries: { values(): Iterable<FlowEntry> };
  readonly #rest: (entry: FlowEntry, why: string) => void;
  /** Carried by user space, and not seen in the kernel. */
  #unseen: FlowEntry[] = [];
  /** Interfaces that the program was not seen on when they were last looked at. */
  #missing: ReadonlySet<number> = new Set();
  #calls = 0;

  /** `rest`: takes a flow out of the kernel, and says why. */
  constructor(
    program: RelayProgram,
    entries: { values(): Iterable<FlowEntry> },
    rest: (entry: FlowEntry, why: string) => void,
  ) {
    this.#program = program;
    this.#entries = entries;
    this.#rest = rest;
  }

  /** Of a flow that is in the kernel, whose program has seen so many packets. */
  compare(entry: FlowEntry, here: number): void {
    const carried = carriedOf(entry);
    const since = entry.seen;
    if (since === undefined || since.here !== here) entry.seen = { here, carried };
    else if (carried - since.carried > unseenAtMost) this.#unseen.push(entry);
  }

  /** And what goes the other way, which would leave with addresses that are not the right ones either. */
  giveUp(): void {
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
  heedLosses(): void {
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
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
}
