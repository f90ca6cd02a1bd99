/** Resident memory: idle, and with allocations that each have a channel. Every figure is of a server just started. */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "../test/support/until.ts";
import { startGenerator } from "./generator.ts";
import { type ServerName, startServer } from "./servers.ts";

export interface MemoryResult {
  readonly server: ServerName;
  readonly allocations: number;
  readonly idleKilobytes: number;
  readonly heldKilobytes: number;
}

/** What was allocated on the way is given back after ten seconds with little to do, which may begin ten seconds late. */
const settleMs = 23_000;

function residentKilobytes(pid: number): number {
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

export async function measureMemory(
  names: readonly ServerName[],
  counts: readonly number[],
  progress: (line: string) => void,
): Promise<MemoryResult[]> {
  const results: MemoryResult[] = [];
  for (const allocations of counts) {
    for (const name of names) {
      progress(`memory of ${name} with ${allocations} allocations`);
      results.push(await measureOne(name, allocations));
    }
  }
  return results;
}

async function measureOne(name: ServerName, allocations: number): Promise<MemoryResult> {
  const server = await startServer(name);
  try {
    await delay(settleMs);
    const idleKilobytes = residentKilobytes(server.relay.pid);
    const holder = await startGenerator("ratesgen", { ...server.flags, kind: "hold", hold: allocations });
    try {
      const within = 60_000;
      const output = await until("all to be held", () => /\{"held".*\}/.exec(holder.output())?.[0], { within });
      const { held } = JSON.parse(output) as { held: number };
      if (held !== allocations) throw new Error(`${name} holds ${held} of ${allocations}: ${holder.output()}`);
      await delay(settleMs);
      return { server: name, allocations, idleKilobytes, heldKilobytes: residentKilobytes(server.relay.pid) };
    } finally {
      await holder.stop();
    }
  } finally {
    await server.relay.stop();
  }
}
