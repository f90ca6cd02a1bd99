/** Why there is no path: the likely cause after five seconds, and the verdict when it is final. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { BaseId } from "../../../src/core/ice/base.ts";
import { Attribute, MessageClass } from "../../../src/core/stun/registry.ts";
import { address } from "../turn/server/world.ts";
import { Call } from "./call.ts";
import { build, type Cell, cells } from "./grid.ts";
import { candidate, OWN, PEER, PEERS, Solo } from "./solo.ts";

const server = address("203.0.113.1:3478");

function likely(solo: Solo): string | undefined {
  solo.run(5_000);
  return solo.all("likely-cause").at(-1)?.reason.code;
}

test("no answer from the peer's signaling", () => {
  const solo = new Solo().gather();
  assert.equal(likely(solo), "no-answer-from-signaling");
  assert.equal(solo.all("likely-cause")[0]?.at, 6_000);
  assert.equal(solo.agent.state, "new");
});

test("no candidates of the peer's; RFC 8863 §4: and no verdict before 39.5 s", () => {
  const solo = new Solo().begin();
  assert.equal(likely(solo), "no-remote-candidates");
  solo.run(34_499);
  assert.equal(solo.agent.state, "checking");
  solo.run(1);
  assert.equal(solo.agent.state, "failed");
  assert.equal(solo.all("failed")[0]?.reason.code, "no-remote-candidates");
});

test("mDNS candidates draft §3.2: names that nobody answers for are a reason, and of an older description none", () => {
  const solo = new Solo().begin();
  const fail = (why: string, ufrag: string) =>
    solo.do((agent) => agent.handleRemoteNameFailed(0, why, solo.now, ufrag));
  fail("Nobody answers for a.local.", PEERS.ufrag);
  fail("Nobody answers for a.local.", PEERS.ufrag);
  fail("Nobody answers for b.local.", "older");
  assert.equal(likely(solo), "names-not-found");
  assert.deepEqual(solo.all("likely-cause")[0]?.report.nameFailures, ["Nobody answers for a.local."]);
  for (let n = 0; n < 100; n++) fail(`Nobody answers for ${n}.local.`, PEERS.ufrag);
  assert.equal(solo.agent.report(0)?.nameFailures.length, 20);
});

test("no address of its own, or no relay where only relays are allowed", () => {
  const solo = new Solo();
  solo.do((agent) => agent.gather([], solo.now));
  solo.do((agent) => agent.handleRemoteDescription(0, PEERS, solo.now));
  assert.equal(likely(solo), "no-local-candidates");
  const relayOnly = new Solo({ policy: "relay" });
  relayOnly.do((agent) => agent.handleRelayPending(9 as BaseId, 0, 1));
  relayOnly.begin(candidate("198.51.100.7:2000"));
  relayOnly.do((agent) => agent.handleRelayFailed(9 as BaseId, "The server does not answer.", relayOnly.now));
  assert.equal(likely(relayOnly), "no-relay");
  assert.deepEqual(relayOnly.all("likely-cause")[0]?.report.relayFailures, ["The server does not answer."]);
});

test("IPv4 here and IPv6 there", () => {
  assert.equal(likely(new Solo().begin(candidate("[2001:db8::1]:2000"))), "no-common-family");
});

test("no UDP: neither a server nor the peer answers", () => {
  assert.equal(likely(new Solo({ stunServers: [server] }).begin(candidate("198.51.100.7:2000"))), "udp-blocked");
});

test("the peer answers nothing, though the network works", () => {
  const solo = new Solo({ stunServers: [server] }).begin(candidate("198.51.100.7:2000"));
  solo.run(60);
  const asked = solo.lastRequest(server);
  const id = asked.view.data.slice(4, 20);
  solo.deliver(solo.begun(MessageClass.Success, id).xorAddress(Attribute.XorMappedAddress, OWN).finish(), server);
  assert.equal(likely(solo), "no-answer");
  const [{ reason, report } = assert.fail()] = solo.all("likely-cause");
  assert.match(reason.why, /^The peer answers no check/);
  assert.match(reason.help ?? "", /TURN/);
  assert.deepEqual(
    report.pairs.map((one) => [one.checksSent > 2, one.isHeard]),
    [[true, false]],
  );
});

test("credentials of another description", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"));
  solo.check({ password: "of twenty-two letters!" });
  assert.equal(likely(solo), "credentials-differ");
});

test("one way only", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"));
  solo.check();
  assert.equal(likely(solo), "one-way");
});

test("a peer that is heard is no sign of blocked UDP, though the servers are silent", () => {
  const solo = new Solo({ stunServers: [server] }).begin(candidate("198.51.100.7:2000"));
  solo.check();
  assert.equal(likely(solo), "one-way");
});

test("a relay that refuses the peer", () => {
  const solo = new Solo({ policy: "relay" }).begin(candidate("198.51.100.7:2000"));
  const relay = { base: 9 as BaseId, stream: 0, component: 1, transport: "udp", address: server, mapped: OWN } as const;
  solo.do((agent) => agent.handleRelayed(relay, solo.now));
  solo.do((agent) => agent.handleNotPermitted(9 as BaseId, PEER, "The server does not relay to this peer.", solo.now));
  assert.equal(likely(solo), "relay-refuses-peer");
});

test("the peer's NAT shows two ports of one socket", () => {
  const related = address("192.168.1.2:5000");
  const two = [7_001, 7_002].map((port) =>
    candidate(`198.51.100.7:${port}`, "srflx", { related, foundation: `s${port}` }),
  );
  assert.equal(likely(new Solo().begin(...two)), "peer-nat-maps-by-destination");
});

suite("in natlab, without a TURN server", () => {
  const of = (name: string): Cell => cells().find((one) => one.family === "apart" && one.name === name) as Cell;
  const cases: Record<string, readonly [string, string]> = {
    "APD/APD and APD/APD": ["both-map-by-destination", "both-map-by-destination"],
    "EI/APD and APD/APD": ["peer-nat-maps-by-destination", "own-nat-maps-by-destination"],
    "AD/APD and EI/APD": ["own-nat-maps-by-destination", "peer-nat-maps-by-destination"],
  };
  for (const [name, expected] of Object.entries(cases)) {
    test(`${name}: ${expected.join(", ")}`, () => {
      const { world, a, b } = build(of(name), { config: { turn: [] } });
      new Call(a, b).start();
      world.advance(6_000);
      assert.deepEqual(
        [a, b].map((one) => one.last("likely-cause")?.reason.code),
        expected,
      );
      world.advance(60_000);
      assert.deepEqual(
        [a, b].map((one) => one.last("failed")?.reason.code),
        expected,
      );
      assert.deepEqual([a.agent.state, b.agent.state], ["failed", "failed"]);
    });
  }
});

test("a candidate that comes after the verdict opens the case again", () => {
  const solo = new Solo().begin().run(40_000);
  assert.equal(solo.agent.state, "failed");
  solo.do((agent) => agent.handleRemoteCandidate(0, candidate("198.51.100.7:2000"), solo.now));
  assert.equal(solo.agent.state, "checking");
  solo.answer();
  solo.run(60);
  solo.answer();
  assert.equal(solo.agent.state, "connected");
});
