/**
 * Loaded into every thread before anything else (`--import`): breaks a worker when the main thread says so. `error`: throws
 * what nobody catches; `heap`: keeps what it makes until there is no room; `hang`: never comes back; `sleep`: neither, and
 * takes no processor; `stall`: does nothing until it is let go, and throws then; `pause`: goes on then; `block`: is inside a
 * system call until then.
 */
import { BroadcastChannel, isMainThread, workerData } from "node:worker_threads";
import { availableForeign, libc } from "../../../src/node/sys/libc.ts";

export type Fault = "error" | "heap" | "hang" | "sleep";

interface Order {
  readonly index: number;
  readonly fault: Fault | "stall" | "pause" | "block";
  readonly latch?: SharedArrayBuffer;
  readonly descriptor?: number;
}

const channel = new BroadcastChannel("faults");
channel.unref();

export const faults: readonly string[] = ["--import", import.meta.url];

export function cause(index: number, fault: Fault): void {
  channel.postMessage({ index, fault } satisfies Order);
}

/** Returns what lets go of it. */
export function stall(index: number, fault: "stall" | "pause" = "stall"): () => void {
  const latch = new SharedArrayBuffer(4);
  channel.postMessage({ index, fault, latch } satisfies Order);
  return () => {
    const word = new Int32Array(latch);
    Atomics.store(word, 0, 1);
    Atomics.notify(word, 0);
  };
}

export interface Block extends Disposable {
  /** Whether it is about to make that call. */
  readonly isThere: boolean;
}

export function block(index: number): Block {
  const descriptor = libc().eventfd(0, 0);
  const latch = new SharedArrayBuffer(4);
  channel.postMessage({ index, fault: "block", latch, descriptor } satisfies Order);
  return {
    get isThere() {
      return Atomics.load(new Int32Array(latch), 0) === 1;
    },
    [Symbol.dispose]() {
      const one = new BigUint64Array([1n]);
      libc().write(descriptor, addressOf(one), one.byteLength);
    },
  };
}

function enter(latch: SharedArrayBuffer, descriptor: number): void {
  const count = new BigUint64Array(1);
  Atomics.store(new Int32Array(latch), 0, 1);
  libc().read(descriptor, addressOf(count), count.byteLength);
}

function addressOf(memory: BigUint64Array): number {
  return Number(availableForeign().address(new Uint8Array(memory.buffer)));
}

/** Longer than any test. */
const longestStallMs = 300_000;

const kept: unknown[] = [];

function grow(): void {
  for (let i = 0; i < 100; i++) kept.push(new Array(1_000).fill(kept.length));
  setImmediate(grow);
}

if (isMainThread) {
  process.on("SIGUSR2", () => cause(0, "error"));
  process.on("SIGWINCH", () => block(0));
} else {
  channel.onmessage = (message) => {
    const { index, fault, latch, descriptor } = (message as { data: Order }).data;
    if (index !== (workerData as { index?: number } | null)?.index) return;
    if (fault === "block") return enter(latch as SharedArrayBuffer, descriptor as number);
    if (latch !== undefined) Atomics.wait(new Int32Array(latch), 0, 0, longestStallMs);
    if (fault === "pause") return;
    if (fault === "error" || fault === "stall") throw new Error("broken on purpose");
    if (fault === "heap") grow();
    else if (fault === "sleep") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    else for (;;);
  };
}
