/**
 * What is fuzzed, and how a run goes. A target gets inputs and checks its laws on each: nothing throws, whole and in
 * pieces agree, what decodes encodes again to the same. A broken law is an exception, and the input is printed.
 */
import { readFileSync } from "node:fs";
import { setImmediate as breathe } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { hex, toHex } from "../support/bytes.ts";
import { SeededRandom } from "../support/crypto.ts";
import { mutated } from "./mutate.ts";

export interface Target {
  readonly name: string;
  /** Real inputs, from which others are made. */
  readonly seeds: readonly Uint8Array[];
  /** What does not come from the network, or takes long, is given only this part of the others' inputs: 10 is a tenth. */
  readonly oneIn?: number;
  /** Makes a mutated input whole in parts, a length or a checksum, so that it goes deeper. */
  repair?(input: Uint8Array, random: SeededRandom): Uint8Array;
  /** Throws when a law is broken; returns whether the input was accepted. */
  run(input: Uint8Array, random: SeededRandom): boolean;
  /** Decodes once, for the count of steps. */
  decode(input: Uint8Array): void;
}

export interface Report {
  readonly inputs: number;
  readonly accepted: number;
  /** Bytes of heap at the end, less those after the first tenth, after collection. */
  readonly heapGrowth: number;
  readonly slowestMs: number;
}

export class BrokenLaw extends Error {
  override readonly name = "BrokenLaw";
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Bytes in use after collection. */
export function heapUsed(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

/** A stall of the event loop: one input that keeps the thread busy for longer than this, every time. */
export const STALL_MS = 250;
const BATCH = 1_000;
/** What a collected heap may differ by: compiled code, feedback, a report being made. */
export const HEAP_SLACK = 8 << 20;

function attempt(target: Target, input: Uint8Array, seed: number, n: number): boolean {
  try {
    return target.run(input, new SeededRandom(seed ^ n));
  } catch (cause) {
    throw new BrokenLaw(`${target.name}: input ${n} of seed ${seed} broke a law: ${toHex(input)}`, { cause });
  }
}

/** Milliseconds that this thread has computed, whatever else the machine does meanwhile. */
export function busyMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** How often what looks like a stall is tried again: a collection of garbage or a busy machine looks like one, once. */
export const STALL_TRIES = 3;

/** Runs `work`, again where it stalled the event loop. Returns its milliseconds. */
export function withoutStall(target: Target, input: Uint8Array, work: () => void): number {
  const timed = (): number => {
    const start = busyMs();
    work();
    return busyMs() - start;
  };
  let ms = timed();
  for (let tries = 1; tries < STALL_TRIES && ms > STALL_MS; tries++) ms = timed();
  if (ms > STALL_MS) throw new BrokenLaw(`${target.name}: ${ms} ms for ${toHex(input)}`);
  return ms;
}

/** The nth input of a seed. */
export function inputOf(target: Target, random: SeededRandom): Uint8Array {
  const input = mutated(target.seeds, random);
  return target.repair?.(input, random) ?? input;
}

/** Runs `inputs` inputs made from `seed`. */
export async function fuzz(target: Target, inputs: number, seed: number): Promise<Report> {
  const random = new SeededRandom(seed);
  let [accepted, slowestMs, heapBefore] = [0, 0, 0];
  for (let n = 0; n < inputs; n++) {
    if (n % BATCH === 0) await breathe();
    if (n === Math.floor(inputs / 10)) heapBefore = heapUsed();
    const input = inputOf(target, random);
    let isAccepted = false;
    const ms = withoutStall(target, input, () => {
      isAccepted = attempt(target, input, seed, n);
    });
    slowestMs = Math.max(slowestMs, ms);
    if (isAccepted) accepted++;
  }
  const heapGrowth = heapUsed() - heapBefore;
  if (heapGrowth > HEAP_SLACK) throw new BrokenLaw(`${target.name}: the heap grew by ${heapGrowth} bytes`);
  return { inputs, accepted, heapGrowth, slowestMs };
}

/** Inputs that are kept: those that once broke something, and those that nothing else would make. */
export function corpus(name: string): Uint8Array[] {
  const lines = readFileSync(new URL(`corpus/${name}.txt`, import.meta.url), "utf8").split("\n");
  return lines.filter((line) => line.trim() !== "" && !line.startsWith("#")).map(hex);
}

/** Runs the kept inputs; returns how many there are. */
export function replay(target: Target): number {
  const kept = corpus(target.name);
  for (const [n, input] of kept.entries()) attempt(target, input, 0, n);
  return kept.length;
}
