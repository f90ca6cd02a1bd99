/** Builds Postern: what Node makes of TypeScript while it runs takes memory that users' servers do not need. */
import { join } from "node:path";
import { runChild } from "../test/support/child.ts";

const root = join(import.meta.dirname, "..");
let building: Promise<string> | undefined;

/** The built program, built anew once in this process. */
export function built(): Promise<string> {
  building ??= build();
  return building;
}

async function build(): Promise<string> {
  const compiler = join(root, "node_modules/.bin/tsc");
  await runChild([compiler, "-b", "src/cli", "src/natlab"], { cwd: root, within: 120_000 });
  return join(root, "dist/cli/main.js");
}
