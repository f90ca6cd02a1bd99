/**
 * Virtual time. What is to happen lies in one heap, ordered by instant and, at the same instant, by who asked first; so
 * a run depends on nothing but its seed. Time passes only by doing the next thing.
 */
import type { Instant } from "../core/base/machine.ts";

/** Something that will happen. `cancel` is how it does not. */
export class Appointment {
  readonly at: Instant;
  readonly sequence: number;
  #action: (() => void) | undefined;

  constructor(at: Instant, sequence: number, action: () => void) {
    this.at = at;
    this.sequence = sequence;
    this.#action = action;
  }

  get isCancelled(): boolean {
    return this.#action === undefined;
  }

  /** Does nothing once it has happened. */
  cancel(): void {
    this.#action = undefined;
  }

  keep(): void {
    const action = this.#action;
    this.#action = undefined;
    action?.();
  }
}

function isBefore(a: Appointment, b: Appointment): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence);
}

export class Agenda {
  readonly #heap: Appointment[] = [];
  #sequence = 0;
  #now = 0 as Instant;

  get now(): Instant {
    return this.#now;
  }

  /** When the next thing happens. What was cancelled does not, and no time passes for it. */
  get next(): Instant | undefined {
    while (this.#heap[0]?.isCancelled) this.#pop();
    return this.#heap[0]?.at;
  }

  /** `action` happens at `instant`, or now when that has passed. */
  at(instant: Instant, action: () => void): Appointment {
    const appointment = new Appointment(instant < this.#now ? this.#now : instant, this.#sequence++, action);
    this.#heap.push(appointment);
    this.#up(this.#heap.length - 1);
    return appointment;
  }

  /** Does what is next, and moves time there; false when there is nothing. */
  step(): boolean {
    const first = this.#pop();
    if (first === undefined) return false;
    this.#now = first.at;
    first.keep();
    return true;
  }

  /** Does everything up to `instant`, and leaves time there. */
  runUntil(instant: Instant): void {
    for (let next = this.next; next !== undefined && next <= instant; next = this.next) this.step();
    if (instant > this.#now) this.#now = instant;
  }

  #pop(): Appointment | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first !== undefined && last !== undefined && last !== first) {
      this.#heap[0] = last;
      this.#down(0);
    }
    return first;
  }

  #up(from: number): void {
    const item = this.#heap[from] as Appointment;
    let at = from;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = this.#heap[parentAt] as Appointment;
      if (isBefore(parent, item)) break;
      this.#heap[at] = parent;
      at = parentAt;
    }
    this.#heap[at] = item;
  }

  #down(from: number): void {
    const item = this.#heap[from] as Appointment;
    let at = from;
    for (;;) {
      let childAt = at * 2 + 1;
      let child = this.#heap[childAt];
      if (child === undefined) break;
      const right = this.#heap[childAt + 1];
      if (right !== undefined && isBefore(right, child)) {
        child = right;
        childAt++;
      }
      if (isBefore(item, child)) break;
      this.#heap[at] = child;
      at = childAt;
    }
    this.#heap[at] = item;
  }
}
