/** A host of the lab with an ICE connection that is told what to do. */
import type { Network } from "../../src/lab/network.ts";
import { type Child, startChild } from "../support/child.ts";
import { until } from "../support/until.ts";
import type { Answer, Command } from "./ice-names-end.ts";
import { through } from "./networks.ts";

export class NamesEnd {
  readonly #child: Child;
  #asked = 0;

  static async start(network: Network, place: string): Promise<NamesEnd> {
    const script = new URL("ice-names-end.ts", import.meta.url).pathname;
    const command = [...through(network.at(place)), process.execPath, script];
    return new NamesEnd(await startChild(command, { holdInput: true }));
  }

  private constructor(child: Child) {
    this.#child = child;
  }

  async ask(command: Command): Promise<Answer> {
    const nth = this.#asked++;
    this.#child.write(`${JSON.stringify(command)}\n`);
    const lines = () => this.#child.output().split("\n");
    const line = await until(`an answer to ${command.do}`, () => lines().length > nth + 1 && lines()[nth]);
    const answer = JSON.parse(line) as Answer;
    if (answer.failure !== undefined) throw new Error(`${command.do}: ${answer.failure}`);
    return answer;
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }
}
