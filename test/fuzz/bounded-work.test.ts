import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { targets } from "./targets.ts";

test("every decoder's steps are bounded by its input's length, and the TURN server's for any input", async () => {
  // A child inherits the variable unless it is set: empty is none.
  const env = { ...process.env, NODE_V8_COVERAGE: "" };
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [main, "--steps", "500", "--seed", "1"], { env });
  assert.equal(stdout.match(/500 inputs/g)?.length, targets.length + 1, stdout);
});
