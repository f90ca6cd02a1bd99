/**
 * One indexed binary heap of deadlines per machine: no timer per object and no scan. Each owner carries its own
 * position, so moving or removing a deadline is O(log n) and needs no lookup.
 */
import type { Instant } from "./machine.ts";

/** Something that has at most one deadline at a time. Only `Deadlines` writes these fields. */
export interface Timed {
  deadline: Instant;
  /** Position in the heap; -1 when not in it. */
  heapIndex: number;
}

export class Deadlines<T extends Timed> {
  readonly #heap: T[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest deadline. */
  get next(): Instant | undefined {
    return this.#heap[0]?.deadline;
  }

  /** Sets, or moves, the deadline of `item`. */
  set(item: T, deadline: Instant): void {
    const earlier = item.heapIndex >= 0 && deadline < item.deadline;
    item.deadline = deadline;
    if (item.heapIndex < 0) {
      item.heapIndex = this.#heap.length;
      this.#heap.push(item);
      this.#up(item);
    } else if (earlier) this.#up(item);
    else this.#down(item);
  }

  clear(item: T): void {
    const at = item.heapIndex;
    if (at < 0) return;
    item.heapIndex = -1;
    const last = this.#heap.pop() as T;
    if (last === item) return;
    this.#place(last, at);
    this.#up(last);
    this.#down(last);
  }

  /** Removes and returns one item whose deadline has come; undefined when there is none. */
  popDue(now: Instant): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.deadline > now) return undefined;
    this.clear(first);
    return first;
  }

  #place(item: T, at: number): void {
    this.#heap[at] = item;
    item.heapIndex = at;
  }

  #up(item: T): void {
    let at = item.heapIndex;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = this.#heap[parentAt] as T;
      if (parent.deadline <= item.deadline) break;
      this.#place(parent, at);
      at = parentAt;
    }
    this.#place(item, at);
  }

  #down(item: T): void {
    let at = item.heapIndex;
    for (;;) {
      let childAt = at * 2 + 1;
      let child = this.#heap[childAt];
      if (child === undefined) break;
      const right = this.#heap[childAt + 1];
      if (right !== undefined && right.deadline < child.deadline) {
        child = right;
        childAt++;
      }
      if (child.deadline >= item.deadline) break;
      this.#place(child, at);
      at = childAt;
    }
    this.#place(item, at);
  }
}
