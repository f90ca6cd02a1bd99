/** Builds the load generators with the system's C compiler, and runs them pinned to a core of their own. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Child, runChild, startChild } from "../test/support/child.ts";

const sources = join(import.meta.dirname, "load");
const binaries = join(import.meta.dirname, "out", "bin");
const turn = ["turn.c", "digest.c", "measure.c"];
const parts = {
  relaygen: turn,
  ratesgen: turn,
  stormgen: ["anyip.c", ...turn],
  sipgen: ["phones.c", "media.c", "sip.c", "anyip.c", "digest.c", "measure.c"],
} as const;

/** The server has the first core to itself, the generator the second. */
export const serverCore = ["taskset", "-c", "0"];
export const generatorCore = ["taskset", "-c", "1"];

export type Generator = keyof typeof parts;

export async function buildGenerators(names: readonly Generator[] = ["relaygen", "ratesgen"]): Promise<void> {
  await mkdir(binaries, { recursive: true });
  for (const name of names) {
    const files = [`${name}.c`, ...parts[name]].map((file) => join(sources, file));
    await runChild(["gcc", "-O2", "-std=gnu17", "-Wall", "-Wextra", "-o", join(binaries, name), ...files]);
  }
}

type Flags = Readonly<Record<string, string | number>>;

function command(name: Generator, flags: Flags): string[] {
  return [
    ...generatorCore,
    join(binaries, name),
    ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)]),
  ];
}

/** Runs a generator to its end, started through `through`, and returns the JSON it prints. */
export async function generate<T>(name: Generator, flags: Flags, through: readonly string[] = []): Promise<T> {
  const output = await runChild([...through, ...command(name, flags)], { within: 120_000 });
  return JSON.parse(output.trim().split("\n").at(-1)!) as T;
}

/** Starts a generator that goes on until it is stopped. */
export function startGenerator(name: Generator, flags: Flags): Promise<Child> {
  return startChild(command(name, flags), { holdInput: true });
}
