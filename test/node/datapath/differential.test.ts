/** What `mmsg` does with packets is what Node's own sockets do. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Datapath } from "../../../src/node/datapath/datapath.ts";
import { DgramDatapath } from "../../../src/node/datapath/dgram.ts";
import { MmsgDatapath } from "../../../src/node/datapath/mmsg.ts";
import { requireForeign, requireIpv6 } from "../../support/peers.ts";
import { freePortRange } from "../../support/ports.ts";
import { type Ground, onLoopbackInRuns, relayRandomly } from "./differential.ts";

/** Over each family; a million in all for who asks for it. */
const packets = process.env.POSTERN_STRESS === "1" ? 500_000 : 50_000;

for (const [family, skip] of [
  [4, requireForeign()],
  [6, requireForeign() || requireIpv6()],
] as const) {
  describe(`${packets} random packets over IPv${family}`, { skip }, () => {
    test("the same go out of dgram, of mmsg, of mmsg that waits for company, and of mmsg that is handed several as one", async () => {
      const { low } = await freePortRange(64);
      const ports = { listener: low, peers: low + 2, clients: low + 8 };
      const relay = (datapath: Datapath, ground?: Ground) =>
        relayRandomly(datapath, family, ports, 20_261_121 + family, packets, ground);
      const expected = await relay(new DgramDatapath());
      assert.equal(expected.overtaken, 0);
      assert.ok(Object.keys(expected.ways).length > 12, Object.keys(expected.ways).join("; "));
      assert.ok(expected.drops["too-long"] > 0);
      assert.deepEqual(await relay(new MmsgDatapath()), expected);
      assert.deepEqual(await relay(new MmsgDatapath({ wakeDelay: 250 })), expected);
      assert.deepEqual(await relay(new MmsgDatapath({ merges: "always" }), onLoopbackInRuns(family)), expected);
    });
  });
}
