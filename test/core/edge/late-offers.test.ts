/** What is kept of offers that wait for an ACK or a PRACK. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CallSide } from "../../../src/core/edge/call.ts";
import { LateOffers } from "../../../src/core/edge/late-offers.ts";

test("whatever tags somebody puts into responses, no more is kept than a call has dialogs", () => {
  const offers = new LateOffers();
  const side = {} as CallSide;
  for (let i = 0; i < 10_000; i++) offers.note(`tag-${i}`, side);
  const kept = Array.from({ length: 10_000 }, (_, i) => offers.takeAnswer(`tag-${i}`, side)).filter((is) => is).length;
  assert.equal(kept, 128);
});
