/** What the kernel says about bound UDP sockets, in the network namespace of a process: the truth about any server. */
import { readFileSync } from "node:fs";

/** How many UDP sockets are bound to ports from `low` to `high`, both included. */
export function boundUdpSockets({ low, high }: { low: number; high: number }, pid: number): number {
  let sockets = 0;
  for (const table of ["udp", "udp6"]) {
    const lines = readFileSync(`/proc/${pid}/net/${table}`, "utf8").split("\n").slice(1);
    for (const line of lines) {
      const port = Number.parseInt(line.trim().split(/\s+/)[1]?.split(":")[1] ?? "", 16);
      if (port >= low && port <= high) sockets++;
    }
  }
  return sockets;
}
