/** A real network's counts make the path that its packets took. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Lab } from "../../src/lab/lab.ts";
import { Network } from "../../src/lab/network.ts";
import { conversationsOf, pathsOf } from "../../src/lab/report/path.ts";
import { requirePeer, requirePrivilege } from "../support/peers.ts";
import { homeAndOffice } from "./report-results.ts";

const skip = requirePrivilege("root") || requirePeer("ip", "nft");

test("two symmetric calls end where the namespaces' counters say", { skip }, async () => {
  await using lab = new Lab(await Network.build(homeAndOffice), { postern: [], roundTrip: 0 });
  const [alice, bob] = [await lab.agent("alice"), await lab.agent("bob")];
  await alice.tell("open", { id: "call", port: 20_000 });
  await bob.tell("open", { id: "call", port: 20_000 });
  // Bob opens his way to a port of Alice's router that is not hers, and keeps his own.
  await bob.tell("send", { id: "call", to: "203.0.113.11:3333", texts: ["1", "2", "3"] });
  await alice.tell("send", { id: "call", to: "203.0.113.12:20000", texts: ["1", "2", "3", "4"] });
  await alice.hears("call", 1, 200);
  const result = { plan: lab.network.plan, passages: await lab.passages() };
  const paths = pathsOf(result).map(({ from, to, sent, received, stops }) => ({
    way: `${from} to ${to}: ${stops.map(({ node }) => node).join(", ")}`,
    counts: [sent, received, stops.at(-1)?.dropped],
  }));
  assert.deepEqual(
    paths.sort((one, other) => one.way.localeCompare(other.way)),
    [
      { way: "alice to bob: alice, home router, office router", counts: [4, 0, 4] },
      { way: "bob to home router: bob, office router, home router", counts: [3, 0, 3] },
    ],
  );
  assert.equal(conversationsOf(pathsOf(result)).length, 2);
});
