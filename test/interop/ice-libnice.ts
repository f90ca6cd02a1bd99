/** libnice as an ICE agent: a small program of our own around it, which is built when a test asks for it. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { IceRole } from "../../src/core/ice/config.ts";
import { type Child, startChild } from "../support/child.ts";
import { until } from "../support/until.ts";
import { candidatesIn, credentialsIn, type IcePeer, type Policy } from "./ice-peer.ts";

const run = promisify(execFile);

export interface LibniceBuild extends AsyncDisposable {
  readonly program: string;
}

export async function buildLibnicePeer(): Promise<LibniceBuild> {
  const directory = await mkdtemp(join(tmpdir(), "postern-libnice-"));
  const program = join(directory, "peer");
  const { stdout } = await run("pkg-config", ["--cflags", "--libs", "nice"]);
  const source = join(import.meta.dirname, "ice-libnice-peer.c");
  await run("gcc", ["-Wall", "-Werror", "-o", program, source, ...stdout.trim().split(/\s+/)]);
  return { program, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}

export interface LibniceOptions {
  readonly address: string;
  readonly role: IceRole;
  readonly components: number;
  readonly trickle: boolean;
  readonly policy: Policy;
  /** Host, port, user name, password, and `udp` or `tcp`. */
  readonly turn?: readonly [host: string, port: number, user: string, password: string, transport: string];
}

export class Libnice implements IcePeer {
  readonly #child: Child;

  static async start(
    program: string,
    { address, role, components, trickle, policy, turn = [] as never }: LibniceOptions,
  ) {
    const words = [program, address, role, components, trickle ? "trickle" : "whole", policy, ...turn];
    return new Libnice(await startChild(words.map(String), { holdInput: true }));
  }

  private constructor(child: Child) {
    this.#child = child;
  }

  get lines(): string[] {
    return this.#child.output().split("\n").slice(0, -1);
  }

  get #credentials(): string[] {
    return this.lines.filter((line) => line.startsWith("credentials "));
  }

  get #candidates(): string[] {
    return this.lines.filter((line) => line.startsWith("candidate:"));
  }

  /** Its credentials and, when it has gathered, its candidates: lines of SDP. A restart changes only the former. */
  async description({ whole }: { whole: boolean }): Promise<string> {
    const credentials = await until("libnice's description", () => {
      return (!whole || this.lines.includes("gathered")) && this.#credentials.at(-1);
    });
    const [, ufrag, password] = credentials.split(" ");
    const candidates = whole ? this.#candidates : [];
    return [`ice-ufrag:${ufrag}`, `ice-pwd:${password}`, ...candidates].map((line) => `a=${line}\r\n`).join("");
  }

  /** Candidates one by one, until there are no more. */
  async eachCandidate(tell: (line: string) => void): Promise<void> {
    let told = 0;
    await until("libnice to gather", () => {
      const isEnd = this.lines.includes("gathered");
      const candidates = this.#candidates;
      for (; told < candidates.length; told++) tell(candidates[told]!);
      return isEnd;
    });
    tell("end-of-candidates");
  }

  /** A description of ours, whole or in part. */
  describe(text: string): void {
    const { ufrag, password } = credentialsIn(text);
    this.#write(`credentials ${ufrag} ${password}`);
    for (const line of candidatesIn(text)) this.candidate(line);
  }

  candidate(line: string): void {
    this.#write(line === "end-of-candidates" ? "end" : line.replace(/^a=/, ""));
  }

  send(component: number, text: string): void {
    this.#write(`send ${component} ${text}`);
  }

  async restart(): Promise<void> {
    const before = this.#credentials.length;
    this.#write("restart");
    await until("libnice to restart", () => this.#credentials.length > before);
  }

  async says(line: string | RegExp): Promise<void> {
    const found = (one: string): boolean => (typeof line === "string" ? one === line : line.test(one));
    await until(`libnice to say ${line}`, () => this.lines.some(found), { within: 60_000 }).catch((cause) => {
      throw new Error(this.#child.output(), { cause });
    });
  }

  #write(line: string): void {
    this.#child.write(`${line}\n`);
  }

  async close(): Promise<void> {
    await this.#child.stop();
  }
}
