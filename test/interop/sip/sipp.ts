/** sipp, on a host of the lab: many phones of a test, or one that does what its scenario says. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Child } from "../../support/child.ts";
import { peerPath } from "../../support/peers.ts";
import { domain, type Office, passwordOf, serverHost, sipPort } from "./office.ts";

export interface SippOptions {
  readonly scenario: "register" | "call" | "call-fork" | "answer" | "answer-early" | "ring" | "ring-early";
  readonly port: number;
  /** Each makes a call or a registration. */
  readonly users?: readonly string[];
  readonly callee?: string;
  /** Calls in all: one for each user when not given. */
  readonly calls?: number;
  /** Calls a second. */
  readonly rate?: number;
  readonly transport?: "udp" | "tcp";
  /** Its own; the host's first when not given. */
  readonly address?: string;
  /** Seconds that all of it may take. */
  readonly within?: number;
}

export class Sipp {
  readonly #child: Child;
  readonly #home: string;
  readonly #within: number;

  static async start(office: Office, place: string, options: SippOptions): Promise<Sipp> {
    const { scenario, port, users = ["nobody"], callee = "nobody", rate = 40, transport = "udp" } = options;
    const { address = office.network.addressOf(place), within = 60 } = options;
    const home = await mkdtemp(join(tmpdir(), "postern-sipp-"));
    const injected = join(home, "users.csv");
    const lines = users.map((user) => `${user};[authentication username=${user} password=${passwordOf(user)}]`);
    await writeFile(injected, ["SEQUENTIAL", ...lines, ""].join("\n"));
    const child = await office.start(place, [
      peerPath("sipp")!,
      `${serverHost}:${sipPort}`,
      ...["-sf", new URL(`scenarios/${scenario}.xml`, import.meta.url).pathname],
      ...["-inf", injected, "-key", "domain", domain, "-key", "callee", callee],
      ...["-i", address, "-mi", address, "-p", `${port}`, "-cp", `${port + 10_000}`],
      ...["-t", transport === "udp" ? "u1" : "tn", "-m", `${options.calls ?? users.length}`, "-r", `${rate}`],
      // Else it proves its password for the server's address, which is another URI.
      ...["-auth_uri", scenario === "register" ? domain : `${callee}@${domain}`],
      ...["-nostdin", "-timeout", `${within}s`, "-timeout_error", "-max_socket", "2000"],
    ]);
    return new Sipp(child, home, within);
  }

  private constructor(child: Child, home: string, within: number) {
    this.#child = child;
    this.#home = home;
    this.#within = within;
  }

  /** Resolves when all its calls have succeeded. */
  async succeeded(): Promise<void> {
    const { code } = await this.#child.ended({ within: 1_000 * (this.#within + 10) });
    await rm(this.#home, { recursive: true, force: true });
    if (code !== 0) throw new Error(`sipp ended with ${code}:\n${this.#child.output()}`);
  }
}
