/**
 * This thread's event loop as libuv has it: a descriptor that can be read when the loop has something to do, and how long
 * until its next timer. With both, somebody else can wait in its place, for it and for more.
 */
import { PosternError } from "../../core/base/failure.ts";
import type { ForeignFunction } from "./foreign.ts";
import { availableForeign } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";

export class EventLoop {
  readonly descriptor: number;
  readonly #loop: number;
  readonly #timeout: ForeignFunction;
  readonly #updateTime: ForeignFunction;

  /** Throws `PosternError` `foreign-functions-unavailable`. */
  constructor() {
    const foreign = availableForeign();
    const node = foreign.load(null);
    const memory = new NativeMemory("event loop", 8);
    const found = node.func("napi_get_uv_event_loop", "int", ["uintptr_t", "uintptr_t"])(
      foreign.node.env,
      memory.address,
    );
    memory.release();
    if (found !== 0) {
      throw new PosternError("foreign-functions-unavailable", "Node does not say which event loop this thread has.");
    }
    this.#loop = (memory.u32[1] as number) * 0x1_0000_0000 + (memory.u32[0] as number);
    this.descriptor = node.func("uv_backend_fd", "int", ["uintptr_t"])(this.#loop);
    this.#timeout = node.func("uv_backend_timeout", "int", ["uintptr_t"]);
    this.#updateTime = node.func("uv_update_time", "void", ["uintptr_t"]);
  }

  /** Milliseconds until the next timer: 0 when there is something to do at once, -1 when there is no timer. */
  get timeout(): number {
    return this.#timeout(this.#loop);
  }

  /** Counts `timeout` from now on, and not from when the loop last waited. */
  updateTime(): void {
    this.#updateTime(this.#loop);
  }
}
