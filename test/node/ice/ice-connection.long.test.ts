/** What takes as long as the PAC timer (RFC 8863 §4): a verdict that there is no path. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { IceEvent } from "../../../src/core/ice/outputs.ts";
import { requireLong } from "../../support/peers.ts";
import { openTwo } from "./two.ts";

test("where nobody is, the likely cause is told, and `connected` rejects with the verdict", {
  skip: requireLong(1),
}, async () => {
  await using two = await openTwo();
  const { alice, bob } = two;
  const events: IceEvent[] = [];
  alice.onEvent = (event) => events.push(event);
  const description = await bob.localDescription();
  await bob.close();
  alice.setRemoteDescription(description);
  await assert.rejects(alice.connected(), { name: "PosternError", code: "no-answer" });
  assert.deepEqual(
    events.flatMap((event) => ("report" in event ? [`${event.type} ${event.reason.code}`] : [])),
    ["likely-cause no-answer", "failed no-answer"],
  );
  assert.equal(alice.state, "failed");
  assert.equal(alice.path(), undefined);
});
