/** Runs many scenarios, several at a time: their networks know nothing of each other. What measures runs alone. */
import { type LabOptions, runScenario } from "./lab.ts";
import type { Result, Scenario } from "./scenario.ts";

export interface Trial {
  readonly scenario: Scenario;
  /** Milliseconds. */
  readonly roundTrip: number;
}

export interface RunOptions extends Omit<LabOptions, "roundTrip"> {
  readonly atOnce: number;
  readonly onStart?: (trial: Trial) => void;
  readonly onResult?: (result: Result) => void;
}

/** Every scenario at every round trip. */
export function trialsOf(scenarios: readonly Scenario[], roundTrips: readonly number[]): Trial[] {
  return scenarios.flatMap((scenario) => roundTrips.map((roundTrip) => ({ scenario, roundTrip })));
}

/** Resolves with the results in the order of the trials. Rejects as `runScenario` does; nothing runs any more then. */
export async function runAll(trials: readonly Trial[], options: RunOptions): Promise<Result[]> {
  const results: Result[] = [];
  const failure = new AbortController();
  const signal = AbortSignal.any([failure.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const numbered = [...trials.entries()];
  const work = async (queue: [number, Trial][]): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [i, trial] = next;
      options.onStart?.(trial);
      const result = await runScenario(trial.scenario, { ...options, roundTrip: trial.roundTrip, signal });
      results[i] = result;
      options.onResult?.(result);
    }
  };
  const together = async (queue: [number, Trial][], atOnce: number): Promise<void> => {
    const workers = Array.from({ length: atOnce }, () => work(queue).catch((error: Error) => failure.abort(error)));
    await Promise.all(workers);
    signal.throwIfAborted();
  };
  await together(
    numbered.filter(([, { scenario }]) => !scenario.measures),
    options.atOnce,
  );
  await together(
    numbered.filter(([, { scenario }]) => scenario.measures),
    1,
  );
  return results;
}
