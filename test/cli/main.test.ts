import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

test("nothing of the program is read before the heap's settings are made", async () => {
  const main = await readFile(join(import.meta.dirname, "../../src/cli/main.ts"), "utf8");
  const imported = [...main.matchAll(/^(?:import|export) .*"(.*)";$/gm)].map(([, from]) => from);
  assert.deepEqual(imported, ["node:v8"], "an import is carried out before the first line");
  assert.ok(main.indexOf("setFlagsFromString(") < main.indexOf('await import("./program.ts")'));
});
