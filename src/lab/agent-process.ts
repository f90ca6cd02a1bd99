/** The far end of `agent.ts`: starts it on a host of the lab, and tells it what to do. */
import type { Namespace } from "./namespace.ts";
import { beside } from "./network.ts";
import type { Answer, Heard, Order, Verb } from "./orders.ts";
import type { Program } from "./program.ts";

interface Line {
  readonly n: number;
  readonly value?: unknown;
  readonly failure?: string;
}

const lookAgainMs = 20;

export class Agent {
  readonly #program: Program;
  readonly #name: string;
  readonly #waiting: Map<number, PromiseWithResolvers<unknown>> = new Map();
  #rest = "";
  #asked = 0;

  static async start(namespace: Namespace): Promise<Agent> {
    const command = [process.execPath, beside("agent")];
    const agent = new Agent(namespace.name, await namespace.start(command, { input: "hold" }));
    return agent;
  }

  private constructor(name: string, program: Program) {
    this.#name = name;
    this.#program = program;
    program.onOutput = (text) => this.#read(text);
    void program.ended.then(() => this.#fail());
  }

  /** Rejects with what the agent says of its failure. */
  async tell<V extends Verb>(verb: V, order: Order<V>): Promise<Answer<V>> {
    const n = this.#asked++;
    const answered = Promise.withResolvers<unknown>();
    this.#waiting.set(n, answered);
    if (this.#program.hasEnded) this.#fail();
    else this.#program.write(`${JSON.stringify({ n, command: { do: verb, ...order } })}\n`);
    return (await answered.promise) as Answer<V>;
  }

  /** What `id` has heard as soon as that is `count` texts, or when `within` milliseconds have passed. */
  async hears(id: string, count: number, within = 5_000): Promise<readonly Heard[]> {
    const end = performance.now() + within;
    for (;;) {
      const heard = await this.tell("heard", { id });
      if (heard.length >= count || performance.now() >= end) return heard;
      await new Promise((resolve) => setTimeout(resolve, lookAgainMs));
    }
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() as string;
    for (const line of lines) if (line.startsWith("{")) this.#settle(JSON.parse(line) as Line);
  }

  #settle({ n, value, failure }: Line): void {
    const answered = this.#waiting.get(n);
    this.#waiting.delete(n);
    if (failure === undefined) answered?.resolve(value);
    else answered?.reject(new Error(`${this.#name}: ${failure}`));
  }

  #fail(): void {
    for (const { reject } of this.#waiting.values()) {
      reject(new Error(`the agent on ${this.#name} has ended: ${this.#program.output}`));
    }
    this.#waiting.clear();
  }
}
