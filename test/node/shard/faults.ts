/**
 * Loaded into every thread before anything else (`--import`): breaks a worker when the main thread says so. `error`: throws
 * what nobody catches; `heap`: keeps what it makes until there is no room; `hang`: never comes back.
 */
import { BroadcastChannel, isMainThread, workerData } from "node:worker_threads";

export type Fault = "error" | "heap" | "hang";

interface Order {
  readonly index: number;
  readonly fault: Fault;
}

const channel = new BroadcastChannel("faults");
channel.unref();

export const faults: readonly string[] = ["--import", import.meta.url];

export function cause(index: number, fault: Fault): void {
  channel.postMessage({ index, fault } satisfies Order);
}

const kept: unknown[] = [];

function grow(): void {
  for (let i = 0; i < 100; i++) kept.push(new Array(1_000).fill(kept.length));
  setImmediate(grow);
}

if (isMainThread) process.on("SIGUSR2", () => cause(0, "error"));
else {
  channel.onmessage = (message) => {
    const { index, fault } = (message as { data: Order }).data;
    if (index !== (workerData as { index?: number } | null)?.index) return;
    if (fault === "error") throw new Error("broken on purpose");
    if (fault === "heap") grow();
    else for (;;);
  };
}
