import assert from "node:assert/strict";
import { test } from "node:test";
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
