/** What the lab tries: a network, what is done in it, and what must come of it. */
import type { Lab } from "./lab.ts";
import type { Passage } from "./passages.ts";
import type { Plan, Topology } from "./topology.ts";

export interface Scenario {
  /** Short and unique: "figure 2", "symmetric, random". */
  readonly name: string;
  /** One sentence: who is where, and what they try. */
  readonly title: string;
  readonly topology: Topology;
  /** Some things must fail: a document's technique at its limit. */
  readonly expected: "works" | "fails";
  /** It measures times, which others beside it would lengthen. */
  readonly measures?: boolean;
  readonly run: (lab: Lab) => Promise<Outcome>;
}

export interface Outcome {
  /** `broken`: the experiment itself did not come to its end. */
  readonly outcome: "works" | "fails" | "broken";
  /** In plain words: how it came to be. */
  readonly why: string;
  /** What was measured, by name and with its unit: { "round trip": "50.3 ms" }. */
  readonly figures?: Readonly<Record<string, string>>;
  /** What a program wrote that is worth reading, such as `postern check`'s screen. */
  readonly screen?: string;
}

export interface Result extends Outcome {
  readonly scenario: Scenario;
  /** Milliseconds. */
  readonly roundTrip: number;
  /** What happened is what was expected. */
  readonly passed: boolean;
  readonly plan: Plan;
  /** What arrived at, and left, each host and gateway. */
  readonly passages: ReadonlyMap<string, readonly Passage[]>;
}
