/** Room for flows in the kernel: which numbers are free, and who waits for one, or for there to be time. */
import type { FlowEnds, KernelFlow } from "./flow-entry.ts";

export class FlowRoom {
  readonly capacity: number;
  readonly #free: number[] = [];
  #next = 0;
  /** In the order in which they came. */
  readonly #waiting: Map<KernelFlow, FlowEnds> = new Map();

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** The number that is taken next; undefined: there is none. */
  get free(): number | undefined {
    return this.#free.at(-1) ?? (this.#next < this.capacity ? this.#next : undefined);
  }

  take(): void {
    if (this.#free.pop() === undefined) this.#next++;
  }

  giveBack(index: number): void {
    this.#free.push(index);
  }

  wait(flow: KernelFlow, ends: FlowEnds): void {
    this.#waiting.set(flow, ends);
  }

  /** It waits no longer. */
  leave(flow: KernelFlow): void {
    this.#waiting.delete(flow);
  }

  /** Who has waited longest, where there is room; it goes on to wait. */
  get next(): readonly [KernelFlow, FlowEnds] | undefined {
    const [next] = this.free === undefined ? [] : this.#waiting;
    return next;
  }
}
