/** libnice in the benchmark of ICE: the peer of the interop tests, a process for each end. */
import type { Lab } from "../../src/lab/lab.ts";
import type { Program } from "../../src/lab/program.ts";
import { buildLibnicePeer } from "../../test/interop/ice-libnice.ts";
import { until } from "../../test/support/until.ts";
import {
  type Contender,
  type End,
  type Mark,
  type Moment,
  type Packet,
  packetEveryMs,
  readPacket,
  type Servers,
  wallTime,
} from "./contender.ts";

/** In the peer's words; `connected` and `ready` both say that a pair works. */
const marks: readonly (readonly [RegExp, Mark])[] = [
  [/^gathering$/, "gathering"],
  [/^gathered$/, "gathered"],
  [/^met$/, "met"],
  [/^state 1 (connected|ready)$/, "usable"],
  [/^selected 1 /, "nominated"],
];

class LibniceEnd implements End {
  readonly #start: (role: string) => Promise<Program>;
  #program: Program | undefined;
  #restarts: Moment[] = [];
  #talking: NodeJS.Timeout | undefined;
  #sent = 0;

  constructor(start: (role: string) => Promise<Program>) {
    this.#start = start;
  }

  async offer(): Promise<string> {
    this.#program = await this.#start("controlling");
    return this.#description();
  }

  async answer(offer: string): Promise<string> {
    this.#program = await this.#start("controlled");
    this.#tell(offer);
    return this.#description();
  }

  async accept(answer: string): Promise<void> {
    this.#tell(answer);
  }

  async restart(): Promise<string> {
    this.#restarts.push({ mark: "restart", at: wallTime() });
    return this.#anew();
  }

  async follow(offer: string): Promise<string> {
    const own = await this.#anew();
    this.#tell(offer);
    return own;
  }

  async talk(): Promise<void> {
    const speak = (): void => this.#program?.write(`send 1 ${++this.#sent} ${wallTime()}\n`);
    this.#talking = setInterval(speak, packetEveryMs);
  }

  async hush(): Promise<number> {
    clearInterval(this.#talking);
    return this.#sent;
  }

  async moments(): Promise<Moment[]> {
    const found = this.#lines.flatMap(({ at, text }) => {
      return marks.filter(([pattern]) => pattern.test(text)).map(([, mark]) => ({ mark, at }));
    });
    return [...found, ...this.#restarts].sort((a, b) => a.at - b.at);
  }

  async heard(): Promise<Packet[]> {
    return this.#lines.flatMap(({ at, text }) => {
      const packet = text.startsWith("data 1 ") ? readPacket(text.slice("data 1 ".length), at) : undefined;
      return packet === undefined ? [] : [packet];
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#talking);
    await this.#program?.stop();
  }

  get #lines(): { at: number; text: string }[] {
    const lines = (this.#program?.output ?? "").split("\n").slice(0, -1);
    return lines.map((line) => ({ at: Number.parseFloat(line), text: line.slice(line.indexOf(" ") + 1) }));
  }

  get #credentials(): string[] {
    return this.#lines.map(({ text }) => text).filter((text) => text.startsWith("credentials "));
  }

  async #anew(): Promise<string> {
    const before = this.#credentials.length;
    this.#program?.write("restart\n");
    await until("libnice to restart", () => this.#credentials.length > before);
    return this.#description();
  }

  /** In the words of the peer's standard input. */
  async #description(): Promise<string> {
    await until("libnice to gather", () => this.#lines.some(({ text }) => text === "gathered"), { within: 60_000 });
    const candidates = this.#lines.map(({ text }) => text).filter((text) => text.startsWith("candidate:"));
    return [this.#credentials.at(-1), ...candidates, "end", ""].join("\n");
  }

  #tell(description: string): void {
    this.#program?.write(description);
  }
}

export async function startLibnice(lab: Lab): Promise<Contender> {
  const build = await buildLibnicePeer();
  return {
    name: "libnice",
    open: async (host, { turn, stun }: Servers) => {
      const server = turn.url.replace("turn:", "");
      const words = [server, 3478, turn.username, turn.credential, "udp", ...(stun === undefined ? [] : [stun, 3478])];
      return new LibniceEnd((role) => {
        const command = [build.program, lab.network.addressOf(host), role, 1, "whole", "all", ...words];
        const options = { input: "hold", env: { ICE_PEER_STAMPS: "1" } } as const;
        return lab.network.at(host).start(command.map(String), options);
      });
    },
    [Symbol.asyncDispose]: () => build[Symbol.asyncDispose](),
  };
}
