/** A network with programs in it: agents on its hosts, Postern's server, `postern check`. */
import { Agent } from "./agent-process.ts";
import { Network } from "./network.ts";
import { type Passage, passagesOf } from "./passages.ts";
import type { Program } from "./program.ts";
import type { Result, Scenario } from "./scenario.ts";

export interface LabOptions {
  /** How `postern` is started. */
  readonly postern: readonly string[];
  /** Milliseconds. */
  readonly roundTrip: number;
}

export class Lab implements AsyncDisposable {
  readonly network: Network;
  readonly roundTrip: number;
  readonly #postern: readonly string[];
  readonly #agents: Map<string, Promise<Agent>> = new Map();

  constructor(network: Network, { postern, roundTrip }: LabOptions) {
    this.network = network;
    this.roundTrip = roundTrip;
    this.#postern = postern;
  }

  /** The agent on a host, started when it is first asked for. */
  agent(host: string): Promise<Agent> {
    let agent = this.#agents.get(host);
    if (agent === undefined) this.#agents.set(host, (agent = Agent.start(this.network.at(host))));
    return agent;
  }

  /** Starts `postern` with these arguments on a host. */
  postern(host: string, ...args: readonly string[]): Promise<Program> {
    return this.network.at(host).start([...this.#postern, ...args]);
  }

  async passages(): Promise<Map<string, Passage[]>> {
    const { hosts, gateways } = this.network.plan;
    const names = [...hosts, ...gateways].map(({ name }) => name);
    return new Map(
      await Promise.all(names.map(async (name) => [name, await passagesOf(this.network.at(name))] as const)),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.network[Symbol.asyncDispose]();
  }
}

/** Builds the scenario's network, runs it, and takes it down. */
export async function runScenario(scenario: Scenario, options: LabOptions): Promise<Result> {
  await using lab = new Lab(await Network.build(scenario.topology, options), options);
  const outcome = await scenario.run(lab);
  return {
    ...outcome,
    scenario,
    roundTrip: options.roundTrip,
    passed: outcome.outcome === scenario.expected,
    plan: lab.network.plan,
    passages: await lab.passages(),
  };
}
