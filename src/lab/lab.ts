/** A network with programs in it: agents on its hosts, Postern's server, `postern check`. */
import { setTimeout as delay } from "node:timers/promises";
import { Agent } from "./agent-process.ts";
import { Network } from "./network.ts";
import { forgetPassages, type Passage, passagesOf } from "./passages.ts";
import type { Program } from "./program.ts";
import type { Outcome, Result, Scenario } from "./scenario.ts";

export interface LabOptions {
  /** How `postern` is started. */
  readonly postern: readonly string[];
  /** Milliseconds. */
  readonly roundTrip: number;
  /** Takes everything down, whatever is going on. */
  readonly signal?: AbortSignal;
}

/** What the machine happens to have set must not change an experiment. */
const cleanEnvironment: Readonly<Record<string, string | undefined>> = Object.fromEntries([
  ...Object.keys(process.env)
    .filter((name) => /^POSTERN_|_proxy$/i.test(name))
    .map((name) => [name, undefined]),
  ["XDG_CONFIG_HOME", "/nonexistent"],
  ["STATE_DIRECTORY", undefined],
]);

export class Lab implements AsyncDisposable {
  readonly network: Network;
  readonly roundTrip: number;
  readonly #options: LabOptions;
  readonly #agents: Map<string, Promise<Agent>> = new Map();

  constructor(network: Network, options: LabOptions) {
    this.network = network;
    this.roundTrip = options.roundTrip;
    this.#options = options;
  }

  /** The agent on a host, started when it is first asked for. */
  agent(host: string): Promise<Agent> {
    let agent = this.#agents.get(host);
    if (agent === undefined) this.#agents.set(host, (agent = Agent.start(this.network.at(host))));
    return agent;
  }

  /** Starts `postern` with these arguments on a host. */
  postern(host: string, ...args: readonly string[]): Promise<Program> {
    return this.network.at(host).start([...this.#options.postern, ...args], { env: cleanEnvironment });
  }

  async passages(): Promise<Map<string, Passage[]>> {
    const all = this.#places.map(async (name) => [name, await passagesOf(this.network.at(name))] as const);
    return new Map(await Promise.all(all));
  }

  /** What passed until now is not drawn. */
  async forget(): Promise<void> {
    await Promise.all(this.#places.map((name) => forgetPassages(this.network.at(name))));
  }

  /** Lets time pass: for what is about time. */
  async wait(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#options.signal });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.network[Symbol.asyncDispose]();
  }

  get #places(): string[] {
    const { hosts, gateways } = this.network.plan;
    return [...hosts, ...gateways].map(({ name }) => name);
  }
}

/**
 * Builds the scenario's network, runs it, and takes it down. What breaks on the way is an outcome of its own; rejects
 * only when the network cannot be built, or when the signal came.
 */
export async function runScenario(scenario: Scenario, options: LabOptions): Promise<Result> {
  await using lab = new Lab(await Network.build(scenario.topology, options), options);
  const outcome = await scenario.run(lab).catch((error: Error): Outcome => {
    options.signal?.throwIfAborted();
    return { outcome: "broken", why: error.message };
  });
  return {
    ...outcome,
    scenario,
    roundTrip: options.roundTrip,
    passed: outcome.outcome === scenario.expected,
    plan: lab.network.plan,
    passages: await lab.passages(),
  };
}
