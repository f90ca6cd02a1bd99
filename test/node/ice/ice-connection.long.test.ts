/** What takes as long as the PAC timer (RFC 8863 §4): a verdict that there is no path. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { IceEvent } from "../../../src/core/ice/outputs.ts";
import { requireLong } from "../../support/peers.ts";
import { freePort } from "../../support/ports.ts";
import { openTwo } from "./two.ts";

test("where nobody is, the likely cause is told, and `connected` rejects with the verdict", {
  skip: requireLong(1),
}, async () => {
  const urls = `turn:127.0.0.1:${await freePort()}?transport=tcp`;
  await using two = await openTwo({ iceServers: [{ urls, username: "alice", credential: "wonderland" }] });
  const { alice, bob } = two;
  const events: IceEvent[] = [];
  alice.onEvent = (event) => events.push(event);
  const description = await bob.localDescription();
  await bob.close();
  alice.setRemoteDescription(description);
  const message = /^The peer answers no check.* No allocation at turn:127\.0\.0\.1:.* would carry the call\.$/;
  await assert.rejects(alice.connected(), { name: "PosternError", code: "no-answer", message });
  assert.deepEqual(
    events.flatMap((event) => ("report" in event ? [`${event.type} ${event.reason.code}`] : [])),
    ["likely-cause no-answer", "failed no-answer"],
  );
  assert.equal(alice.state, "failed");
  assert.equal(alice.path(), undefined);
});
