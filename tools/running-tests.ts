/**
 * What runs of the tests, and its end. Node's runner bounds tests but no file: it waits for a file's process however long
 * that goes on, and all that it ever sends is SIGTERM, which a process may ignore and its children never see. So whatever
 * is overdue is killed from here, with all that descends from it.
 */
import { spawnSync } from "node:child_process";
import type { run } from "node:test";

interface RunningFile {
  readonly since: number;
  readonly overdue: NodeJS.Timeout;
  /** By the runner's number, what has begun and not ended; a suite stands before its tests. */
  readonly tests: Map<number, string>;
}

export interface FileTime {
  readonly file: string;
  readonly ms: number;
}

export class RunningTests {
  readonly #files = new Map<string, RunningFile>();
  readonly #times: FileTime[] = [];
  /** Those that were killed, each in words. */
  readonly killed: string[] = [];

  /** Follows a run whose files have `fileMs` each. */
  follow(tests: ReturnType<typeof run>, fileMs: number): void {
    tests.on("test:dequeue", ({ file, name, testId, entryFile }: Begun) => {
      if (entryFile !== undefined) this.#files.get(entryFile)?.tests.set(testId, name);
      else if (file === name) this.#begin(file, fileMs);
    });
    tests.on("test:complete", ({ file, name, testId, entryFile }: Begun) => {
      if (entryFile !== undefined) this.#files.get(entryFile)?.tests.delete(testId);
      else if (file === name) this.#end(file);
    });
  }

  /** Kills all files that run, because of `why`. */
  killAll(why: string): void {
    for (const file of this.#files.keys()) this.#kill(file, why);
  }

  /** How long files took, the slowest first. */
  times(): readonly FileTime[] {
    return this.#times.toSorted((a, b) => b.ms - a.ms);
  }

  #begin(file: string, fileMs: number): void {
    const overdue = setTimeout(() => this.#kill(file, `has not ended after ${fileMs / 1_000} s`), fileMs);
    this.#files.set(file, { since: performance.now(), overdue, tests: new Map() });
  }

  #end(file: string): void {
    const running = this.#files.get(file);
    if (running === undefined) return;
    clearTimeout(running.overdue);
    this.#files.delete(file);
    this.#times.push({ file, ms: performance.now() - running.since });
  }

  #kill(file: string, why: string): void {
    const tests = [...this.#files.get(file)!.tests.values()];
    const doing = tests.length === 0 ? "no test of it is running" : `running: ${tests.join(" › ")}`;
    this.killed.push(`${file} ${why}; ${doing}`);
    for (const pid of processesOf(file)) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It went by itself.
      }
    }
  }
}

/** What the runner tells of a test and of a file; the types know neither `testId` nor `entryFile`. */
interface Begun {
  readonly name: string;
  readonly file?: string;
  readonly testId: number;
  /** Only of tests. */
  readonly entryFile?: string;
}

/** The process of a test file and all its descendants. */
function processesOf(file: string): number[] {
  const { stdout } = spawnSync("ps", ["-A", "-ww", "-o", "pid=,ppid=,args="], { encoding: "utf8", maxBuffer: 2 ** 26 });
  const all = (stdout ?? "").split("\n").map((line) => {
    const [, pid, parent, words] = /^ *(\d+) +(\d+) (.*)$/.exec(line) ?? [];
    return { pid: Number(pid), parent: Number(parent), words: words ?? "" };
  });
  const found = all.filter(({ parent, words }) => parent === process.pid && words.endsWith(` ${file}`));
  for (const { pid } of found) found.push(...all.filter(({ parent }) => parent === pid));
  return found.map(({ pid }) => pid);
}
