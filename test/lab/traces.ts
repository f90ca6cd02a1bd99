/** What a process and those that it started leave on the host: processes and network namespaces. */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";

function parentOf(pid: number): { parent: number; state: string } | undefined {
  try {
    // The name stands in parentheses, and may hold anything.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return { state: fields[0] as string, parent: Number(fields[1]) };
  } catch {
    return undefined;
  }
}

function pids(): number[] {
  return readdirSync("/proc").map(Number).filter(Boolean);
}

/** All that came of a process, itself left out. */
export function descendants(root: number): number[] {
  const children = Map.groupBy(pids(), (pid) => parentOf(pid)?.parent ?? 0);
  const found: number[] = [];
  for (const queue = [root]; queue.length > 0; ) {
    const next = children.get(queue.pop() as number) ?? [];
    found.push(...next);
    queue.push(...next);
  }
  return found;
}

/** Runs, and is not only a line in its parent's book. */
export function isAlive(pid: number): boolean {
  const state = parentOf(pid)?.state;
  return state !== undefined && state !== "Z" && state !== "X";
}

function networkNamespaceOf(pid: number | "self"): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return "";
  }
}

/** The network namespaces of processes, our own left out. */
export function namespacesOf(processes: readonly number[]): Set<string> {
  const found = new Set(processes.map(networkNamespaceOf));
  found.delete("");
  found.delete(networkNamespaceOf("self"));
  return found;
}

/** Those of `namespaces` that a process is in, or that have a name on the host. */
export function stillThere(namespaces: ReadonlySet<string>): string[] {
  const held = new Set([...pids().filter(isAlive).map(networkNamespaceOf), ...named()]);
  return [...namespaces].filter((namespace) => held.has(namespace));
}

function named(): string[] {
  try {
    return readdirSync("/run/netns").map((name) => `net:[${statSync(`/run/netns/${name}`).ino}]`);
  } catch {
    return []; // Nobody has made one yet, or one went meanwhile.
  }
}
