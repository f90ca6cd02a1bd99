/** Programs that the lab starts. Each ends with this process, however that ends: nothing is left on the host. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { delimiter } from "node:path";
import { PosternError } from "../core/base/failure.ts";

export interface ProgramOptions {
  readonly input?: "hold" | undefined;
  /** Besides this process's; undefined: without that variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const insistAfterMs = 5_000;
/** Where root's programs are, also for a root whose path leaves that out. */
export const searchPath: string = [process.env["PATH"] ?? "", "/usr/sbin", "/sbin"].join(delimiter);

/**
 * The kernel ends it when this process is gone: that holds for SIGKILL too. What started while this process went has
 * another parent by then, and does not begin.
 */
const withUs: readonly string[] = [
  ...["setpriv", "--pdeathsig", "KILL"],
  ...["sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', `${process.pid}`],
];

export class Program {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #closed: Promise<Ending>;
  readonly #heard: Set<() => void> = new Set();
  #output = "";
  /** Called with what it writes to standard output. */
  onOutput: (text: string) => void = () => {};

  /** `command[0]` is looked up in the path. Rejects with `PosternError` `lab-program` when nothing can be started. */
  static async start(command: readonly string[], options: ProgramOptions = {}): Promise<Program> {
    const program = new Program(command, options);
    await once(program.#child, "spawn").catch((cause: Error) => {
      throw new PosternError("lab-program", `Install ${program.name}: ${cause.message}.`, { cause });
    });
    return program;
  }

  private constructor(command: readonly string[], { input, env }: ProgramOptions) {
    this.name = command[0] as string;
    const [first, ...rest] = [...withUs, ...command];
    this.#child = spawn(first as string, rest, {
      stdio: [input === "hold" ? "pipe" : "ignore", "pipe", "pipe"],
      env: { ...process.env, PATH: searchPath, ...env },
    });
    this.#child.stdin?.on("error", () => {});
    const hear = (text: string): void => {
      this.#output += text;
      for (const look of this.#heard) look();
    };
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      hear(text);
      this.onOutput(text);
    });
    this.#child.stderr?.setEncoding("utf8").on("data", hear);
    this.#closed = once(this.#child, "close").then(([code, signal]) => ({ code, signal }));
    this.#closed.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** Standard output and standard error, so far. */
  get output(): string {
    return this.#output;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get ended(): Promise<Ending> {
    return this.#closed;
  }

  /** Resolves as soon as it has written `text`; rejects with `PosternError` `lab-program` when it ends without. */
  async says(text: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (this.#output.includes(text)) resolve();
    };
    this.#heard.add(look);
    look();
    await Promise.race([promise, this.#closed]);
    this.#heard.delete(look);
    if (this.#output.includes(text)) return;
    throw new PosternError("lab-program", `${this.name} ended: ${this.#output.trim()}`);
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Writes, and closes its standard input. */
  finish(text: string): void {
    this.#child.stdin?.end(text);
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Ending> {
    if (!this.hasEnded) this.#child.kill(signal);
    const insist = setTimeout(() => this.#child.kill("SIGKILL"), insistAfterMs);
    try {
      return await this.#closed;
    } finally {
      clearTimeout(insist);
    }
  }
}

/** Runs a command to its end; resolves with its standard output, rejects with `PosternError` `lab-command` unless it ends with 0. */
export async function run(command: readonly string[], input?: string): Promise<string> {
  const program = await Program.start(command, { input: input === undefined ? undefined : "hold" });
  let text = "";
  program.onOutput = (more) => {
    text += more;
  };
  if (input !== undefined) program.finish(input);
  const { code, signal } = await program.ended;
  if (code === 0) return text;
  throw new PosternError("lab-command", `${command.join(" ")} ended with ${code ?? signal}: ${program.output.trim()}`);
}
