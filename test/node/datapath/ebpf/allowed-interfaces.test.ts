/** What is named is looked up when it counts: numbers and names are given anew while the helper runs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Namespace } from "../../../../src/lab/namespace.ts";
import { peerPath, requireForeign, requirePeer, requirePrivilege } from "../../../support/peers.ts";

const skip = requireForeign() || requirePrivilege("root", "sys-admin") || requirePeer("ip", "nsenter");
const script = fileURLToPath(new URL("interfaces-allowed.ts", import.meta.url));

test("an interface that is made later, or again, is allowed by its name, and no other", { skip }, async () => {
  const place = await Namespace.open("allowed");
  try {
    const said = await place.run([process.execPath, script, peerPath("ip")!]);
    assert.deepEqual(JSON.parse(said), [true, false, false, true, false, false]);
  } finally {
    await place.close();
  }
});
