/**
 * Child processes of a test: real servers and real clients. A child's output is kept, so that a test can wait for a line
 * of it and a failure can show it. Children are ended one by one, by their own process id; those that are left when the
 * test process goes are ended with it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { peerPath } from "./peers.ts";
import { soon, until } from "./until.ts";

export interface Child {
  readonly pid: number;
  /** What it wrote so far, standard output and standard error together. */
  output(): string;
  /** Writes to its standard input, which `holdInput` opens. */
  write(text: string): void;
  closeInput(): void;
  /** How it ended, or undefined while it runs. */
  ending(): Ending | undefined;
  /** Resolves when it has ended by itself. */
  ended(options?: { within?: number }): Promise<Ending>;
  /** Asks it to end, insists after a while, and resolves when it is gone. */
  stop(signal?: NodeJS.Signals): Promise<Ending>;
}

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Opens its standard input, and keeps it open: else it reads nothing. */
  readonly holdInput?: boolean;
}

const insistAfterMs = 5_000;
/** The kernel ends a child when this process is killed, and can end nothing itself any more. */
const setpriv = process.platform === "linux" ? peerPath("setpriv") : undefined;
const tether = setpriv === undefined ? [] : [setpriv, "--pdeathsig", "KILL"];
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts `command[0]` with the rest as arguments. */
export async function startChild(command: readonly string[], options: ChildOptions = {}): Promise<Child> {
  const program = command[0] as string;
  const [started, ...args] = [...tether, ...command] as [string, ...string[]];
  const child = spawn(started, args, {
    stdio: [options.holdInput ? "pipe" : "ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let output = "";
  let ending: Ending | undefined;
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (text) => (output += text));
  child.stdin?.on("error", () => {}); // Whoever has ended reads no more.
  running.add(child);
  child.once("exit", (code, signal) => {
    ending = { code, signal };
    running.delete(child);
  });
  const closed = once(child, "close");
  closed.catch(() => {}); // What cannot be started is reported by the line below.
  await once(child, "spawn");
  return {
    pid: child.pid!,
    output: () => output,
    write: (text) => child.stdin?.write(text),
    closeInput: () => child.stdin?.end(),
    ending: () => ending,
    ended: async ({ within = 30_000 } = {}) => {
      await until(`${program} to end`, () => ending, { within }).catch((cause) => {
        throw new Error(`${command.join(" ")} does not end; it wrote:\n${output}`, { cause });
      });
      await soon(`all that ${program} has started to end`, closed, { within: 30_000 });
      return ending!;
    },
    stop: async (signal = "SIGTERM") => {
      if (ending === undefined) child.kill(signal);
      const insist = setTimeout(() => child.kill("SIGKILL"), insistAfterMs);
      try {
        await soon(`${program} and all that it has started to end`, closed, { within: 30_000 });
      } finally {
        clearTimeout(insist);
      }
      return ending!;
    },
  };
}

/** Runs a command to its end and returns what it wrote. Rejects unless it exits with 0. */
export async function runChild(command: readonly string[], options?: ChildOptions & { within?: number }) {
  const child = await startChild(command, options);
  try {
    const { code, signal } = await child.ended(options);
    if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code ?? signal}:\n${child.output()}`);
    return child.output();
  } finally {
    await child.stop("SIGKILL");
  }
}
