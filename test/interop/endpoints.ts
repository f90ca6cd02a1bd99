/** The far end of an `endpoint.ts` that stands in a network namespace. */
import assert from "node:assert/strict";
import type { Namespace } from "../../src/lab/namespace.ts";
import { type Child, startChild } from "../support/child.ts";
import type { TurnClientOptions } from "../support/turn-client.ts";
import { until } from "../support/until.ts";
import type { Answer, Command } from "./endpoint.ts";
import { through } from "./networks.ts";

export class Endpoint {
  readonly #child: Child;
  #asked = 0;

  private constructor(child: Child) {
    this.#child = child;
  }

  /** `options`: of its TURN server, where it needs one. */
  static async start(place: Namespace, options: Partial<TurnClientOptions> = {}): Promise<Endpoint> {
    const script = new URL("endpoint.ts", import.meta.url).pathname;
    const command = [...through(place), process.execPath, script, JSON.stringify(options)];
    return new Endpoint(await startChild(command, { holdInput: true }));
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

  /** Waits until it has heard as much as `expected`, and that must be it. */
  async hears(expected: readonly string[]): Promise<void> {
    let heard: readonly string[] = [];
    await until(`${expected.length} texts`, async () => {
      heard = (await this.ask({ do: "heard" })).heard ?? [];
      return heard.length >= expected.length || assert.fail(`${heard.length} heard`);
    });
    assert.deepEqual(heard, expected);
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }
}
