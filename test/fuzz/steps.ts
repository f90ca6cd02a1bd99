/**
 * Work counted, not timed: how often the blocks of the core's sources ran (V8's precise coverage counts every function,
 * branch and turn of a loop), and how many bytes were copied by what the language brings along. Must not run in a process
 * whose coverage somebody else collects: there is one set of counters.
 */
import { Session } from "node:inspector";
import type { SeededRandom } from "../support/crypto.ts";
import { BrokenLaw, inputOf, type Target, withoutStall } from "./target.ts";

let copied = 0;

/** Counts the bytes that pass through these methods from now on. */
function countCopies(): void {
  const prototype = Uint8Array.prototype;
  const { set, slice, fill } = prototype;
  prototype.set = function (this: Uint8Array, from, at): void {
    copied += from.length;
    set.call(this, from, at);
  };
  prototype.slice = function (this: Uint8Array, ...range): Uint8Array<ArrayBuffer> {
    const out = slice.apply(this, range);
    copied += out.length;
    return out;
  };
  prototype.fill = function (this: Uint8Array, value, start = 0, end = this.length) {
    copied += Math.max(0, end - start);
    return fill.call(this, value, start, end);
  };
}

interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[];
  }[];
}

export class StepCounter {
  readonly #session = new Session();

  constructor() {
    if (process.env.NODE_V8_COVERAGE) throw new Error("steps cannot be counted while coverage is taken");
    countCopies();
    this.#session.connect();
    this.#post("Profiler.enable");
    this.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Calls the inspector, which answers before it returns. */
  #post(method: string, parameters: object = {}): unknown {
    let answer: unknown;
    this.#session.post(method, parameters, (error: Error | null, result?: object) => {
      if (error !== null) throw error;
      answer = result;
    });
    return answer;
  }

  count(work: () => void): number {
    this.#post("Profiler.takePreciseCoverage");
    copied = 0;
    work();
    const bytes = copied;
    const { result } = this.#post("Profiler.takePreciseCoverage") as Coverage;
    let steps = bytes;
    for (const { url, functions } of result) {
      if (!url.includes("/src/core/")) continue;
      for (const { ranges } of functions) for (const { count } of ranges) steps += count;
    }
    return steps;
  }
}

/** A decoder may take so many steps for each byte, and so many for anything at all. */
const STEPS_PER_BYTE = 32;
const STEPS_AT_ALL = 400;

export interface Work {
  readonly inputs: number;
  /** The most steps that any one input took, less STEPS_AT_ALL, for each of its bytes. */
  readonly mostPerByte: number;
}

/** Counts the steps of each of `inputs` inputs, small ones and the same repeated to a large one. */
export function boundedWork(counter: StepCounter, target: Target, inputs: number, random: SeededRandom): Work {
  let mostPerByte = 0;
  for (let n = 0; n < inputs; n++) {
    const input = n % 10 === 0 ? repeated(inputOf(target, random)) : inputOf(target, random);
    // Regular expressions run elsewhere: what they waste shows as a stall.
    withoutStall(target, input, () => target.decode(input));
    const steps = counter.count(() => target.decode(input));
    const perByte = (steps - STEPS_AT_ALL) / Math.max(1, input.length);
    if (perByte > STEPS_PER_BYTE) {
      throw new BrokenLaw(
        `${target.name}: ${steps} steps for ${input.length} bytes: ${Buffer.from(input).toString("hex")}`,
      );
    }
    mostPerByte = Math.max(mostPerByte, perByte);
  }
  return { inputs, mostPerByte };
}

/** What is quadratic shows in large inputs. */
function repeated(input: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.min(16_384, input.length * 100));
  for (let at = 0; at < out.length; at++) out[at] = input[at % input.length] as number;
  return out;
}
