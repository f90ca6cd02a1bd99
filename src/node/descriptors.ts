/** How many files and sockets this process may have open. */
import { readFileSync } from "node:fs";

/** The soft limit, which Node raises to the hard one when it starts; undefined where there is none, or it cannot be told. */
export function openDescriptorLimit(): number | undefined {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
