import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fuzz, replay } from "./target.ts";
import { targets } from "./targets.ts";
import { ERROR_CODES, fuzzTurnServer } from "./turn-server.ts";

const INPUTS = 200_000;

for (const target of targets) {
  const inputs = INPUTS / (target.oneIn ?? 1);
  test(`${target.name}: the kept inputs and ${inputs} mutated ones break no law, and memory stays flat`, async () => {
    assert.ok(replay(target) > 0);
    const { accepted } = await fuzz(target, inputs, 1);
    assert.ok(accepted > inputs / 20 && accepted < inputs, `${accepted} were accepted`);
  });
}

test(`turn-server: ${INPUTS} inputs in stateful sequences agree with the model, and every error code is reached`, async () => {
  const { inputs, codes } = await fuzzTurnServer(INPUTS, 1);
  assert.ok(inputs >= INPUTS);
  for (const code of ERROR_CODES) assert.ok(codes.includes(code), `no answer was ${code}`);
});

test("every decoder's steps are bounded by its input's length, and the TURN server's for any input", async () => {
  // A child inherits the variable unless it is set: empty is none.
  const env = { ...process.env, NODE_V8_COVERAGE: "" };
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [main, "--steps", "500", "--seed", "1"], { env });
  assert.equal(stdout.match(/500 inputs/g)?.length, targets.length + 1, stdout);
});
