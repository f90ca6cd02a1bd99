/** Connectivity checks that the agent makes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeUtf8 } from "../../../src/core/base/utf8.ts";
import type { BaseId } from "../../../src/core/ice/base.ts";
import { candidatePriority } from "../../../src/core/ice/priority.ts";
import { hasIntegritySha1 } from "../../../src/core/stun/integrity.ts";
import { Attribute, MessageClass } from "../../../src/core/stun/registry.ts";
import { testCrypto } from "../../support/crypto.ts";
import { address } from "../turn/server/world.ts";
import { candidate, OWN, PEER, PEERS, Solo } from "./solo.ts";

const other = address("198.51.100.8:2000");

test("RFC 8445 §7.2.2: a check names the peer first, and is sealed with the peer's password", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"));
  const { view } = solo.lastRequest();
  assert.equal(view.text(Attribute.Username, 513), `${PEERS.ufrag}:${solo.agent.credentials?.ufrag}`);
  assert.ok(hasIntegritySha1(view, testCrypto, testCrypto.importKey(encodeUtf8(PEERS.password))));
  assert.ok(view.has(Attribute.Fingerprint));
});

test("RFC 8445 §7.1.1: it shows the priority of a peer-reflexive candidate, and the role with 64 bits", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"));
  const { view } = solo.lastRequest();
  assert.equal(view.u32(Attribute.Priority), candidatePriority("prflx", 65_535, 1));
  assert.equal(view.bytes(Attribute.IceControlling)?.length, 8);
  assert.ok(!view.has(Attribute.IceControlled) && !view.has(Attribute.UseCandidate));
  const controlled = new Solo({ role: "controlled" }).begin(candidate("198.51.100.7:2000"));
  assert.ok(controlled.lastRequest().view.has(Attribute.IceControlled));
});

test("RFC 8445 §14.2: transactions begin Ta apart, the best pair's first", () => {
  const all = [5, 1, 3, 2, 4].map((n) =>
    candidate(`198.51.100.${n}:2000`, "host", { priority: 10_000 - n, foundation: `f${n}` }),
  );
  const solo = new Solo().begin(...all).run(300);
  assert.deepEqual(
    solo.requests.map(({ at, to }) => [at - 1000, to]),
    [1, 2, 3, 4, 5].map((n, at) => [at * 50, `198.51.100.${n}:2000`]),
  );
});

test("RFC 8445 §14.3: a check is repeated after 500 ms, the wait doubles, and after 39.5 s it has failed", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000")).run(39_499);
  assert.deepEqual(
    solo.requests.map(({ at }) => at - 1000),
    [0, 500, 1500, 3500, 7500, 15_500, 31_500],
  );
  assert.equal(solo.pair()?.state, "in-progress");
  solo.run(1);
  assert.equal(solo.pair()?.failure, "unanswered");
});

test("many pairs make for a longer RTO, and for no longer transaction", () => {
  const all = Array.from({ length: 40 }, (_, n) =>
    candidate(`198.51.100.${n + 1}:2000`, "host", { foundation: `f${n}` }),
  );
  const solo = new Solo().begin(...all).run(1_950);
  assert.equal(
    new Set(solo.requests.map(({ to }) => to)).size,
    40,
    "each pair was checked once before any was repeated",
  );
  assert.equal(solo.requests.length, 40);
  solo.run(42_000);
  assert.ok(solo.agent.report(0)?.pairs.every(({ failure }) => failure === "unanswered"));
});

test("RFC 8445 §7.2.5.2.1: an answer from another address is of no path that works both ways", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"));
  solo.deliver(solo.answerBytes(solo.lastRequest()), other);
  assert.equal(solo.pair()?.failure, "asymmetric");
});

test("RFC 8445 §7.2.5.2.1: nor is one that arrives at another socket", () => {
  const solo = new Solo().gather(OWN, address("192.0.2.2:1000"));
  solo.do((agent) =>
    agent.handleRemoteDescription(0, { ...PEERS, candidates: [candidate("198.51.100.7:2000")] }, solo.now),
  );
  solo.deliver(solo.answerBytes(solo.requests[0] as never), PEER, 2);
  assert.deepEqual(
    solo.agent.report(0)?.pairs.map(({ failure }) => failure),
    ["asymmetric", undefined],
  );
});

test("RFC 8489 §9.1.4: an answer without the peer's seal is as if it had never been received", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"));
  solo.deliver(solo.answerBytes(solo.lastRequest(), OWN, "another password, as long"), PEER);
  assert.equal(solo.pair()?.state, "in-progress");
  assert.equal(solo.agent.drops.unsealed, 1);
  solo.answer();
  assert.equal(solo.pair()?.state, "succeeded");
});

test("an answer that answers nothing, and one without an address", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"));
  const bytes = solo.answerBytes(solo.lastRequest());
  solo.deliver(solo.seal(solo.begun(MessageClass.Success, solo.lastRequest().view.data.slice(4, 20)), PEERS.password));
  assert.equal(solo.pair()?.failure, "refused");
  solo.deliver(bytes);
  assert.equal(solo.agent.drops.unexpected, 1);
});

test("RFC 8445 §7.2.5.2.4: an error that is none of the role means that the pair has failed", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"));
  solo.deliver(solo.errorBytes(solo.lastRequest(), 500));
  assert.equal(solo.pair()?.failure, "refused");
});

test("RFC 8445 §7.2.5.3.1: what the peer saw is a peer-reflexive candidate, if it is new", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"));
  solo.answer(PEER, address("203.0.113.5:6000"));
  assert.equal(solo.pair()?.local.type, "prflx");
  assert.deepEqual(
    solo.agent.report(0)?.local.map(({ type }) => type),
    ["host", "prflx"],
  );
  assert.equal(solo.all("candidate").length, 1, "nobody is told of it");
});

test("RFC 8445 §6.1.2.6: of pairs of one foundation one is checked, and its success lets the others follow", () => {
  const solo = new Solo({ streams: [[1, 2]] });
  const bases = [1, 2].map((component) => ({
    base: component as BaseId,
    stream: 0,
    component,
    address: { ...OWN, port: 999 + component },
  }));
  solo.do((agent) => agent.gather(bases, solo.now));
  const candidates = [1, 2].map((component) => candidate(`198.51.100.7:${1999 + component}`, "host", { component }));
  solo.do((agent) => agent.handleRemoteDescription(0, { ...PEERS, candidates }, solo.now));
  solo.run(100);
  assert.deepEqual(
    solo.requests.map(({ to }) => to),
    ["198.51.100.7:2000"],
  );
  assert.deepEqual(
    solo.agent.report(0)?.pairs.map(({ state }) => state),
    ["in-progress", "frozen"],
  );
  solo.answer();
  solo.run(100);
  assert.deepEqual(
    solo.requests.map(({ to }) => to),
    ["198.51.100.7:2000", "198.51.100.7:2000", "198.51.100.7:2001"],
  );
});

test("RFC 8445 §6.1.4.2: a check that is not answered for long holds up no other of its foundation", () => {
  const candidates = [1, 2].map((n) => candidate(`198.51.100.${n}:2000`, "host", { priority: 100 - n }));
  const solo = new Solo().begin(...candidates).run(499);
  assert.deepEqual(
    solo.agent.report(0)?.pairs.map(({ state }) => state),
    ["in-progress", "frozen"],
  );
  solo.run(60);
  assert.deepEqual(
    solo.agent.report(0)?.pairs.map(({ state }) => state),
    ["in-progress", "in-progress"],
  );
});

test("RFC 8445 §7.3.1.4: a check from the peer makes its pair the next to be checked, and the first answer still counts", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"), candidate("198.51.100.8:2000", "srflx"));
  const first = solo.answerBytes(solo.lastRequest());
  solo.check();
  solo.run(50);
  assert.deepEqual(
    solo.requests.map(({ to }) => to),
    ["198.51.100.7:2000", "198.51.100.7:2000"],
  );
  solo.run(600);
  assert.equal(solo.requests.filter(({ at }) => at === 1500).length, 0, "the first is not repeated");
  solo.deliver(first);
  assert.equal(solo.pair()?.state, "succeeded");
});

test("RFC 8445 §7.3.1.4: a check that was called off is no failure of its pair when its time is over", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"));
  solo.run(20_000);
  solo.check();
  solo.run(25_000);
  assert.equal(solo.pair()?.state, "in-progress");
  solo.answer();
  assert.equal(solo.pair()?.isValid, true);
});

test("RFC 8445 §6.1.4.2: streams take turns", () => {
  const solo = new Solo({ streams: [[1], [1]] });
  const bases = [0, 1].map((stream) => ({
    base: (stream + 1) as BaseId,
    stream,
    component: 1,
    address: { ...OWN, port: 1 + stream },
  }));
  solo.do((agent) => agent.gather(bases, solo.now));
  for (const stream of [0, 1]) {
    const candidates = [1, 2, 3].map((n) =>
      candidate(`198.51.100.${n}:${stream + 1}`, "host", { foundation: `${stream}${n}` }),
    );
    solo.do((agent) => agent.handleRemoteDescription(stream, { ...PEERS, candidates }, solo.now));
  }
  solo.run(250);
  assert.deepEqual(
    solo.requests.map(({ base }) => base),
    [1, 2, 1, 2, 1, 2],
  );
});

test("what is unlikely to be of use is checked last, and nobody waits for it", () => {
  const server = address("203.0.113.1:3478");
  const order = (own: string, ...candidates: ReturnType<typeof candidate>[]): string[] => {
    const solo = new Solo({ stunServers: [server] }).gather();
    const id = solo.lastRequest(server).view.data.slice(4, 20);
    solo.deliver(
      solo.begun(MessageClass.Success, id).xorAddress(Attribute.XorMappedAddress, address(own)).finish(),
      server,
    );
    solo.do((agent) => agent.handleRemoteDescription(0, { ...PEERS, candidates }, solo.now));
    solo.run(300);
    return solo.requests.slice(1).map(({ to }) => to);
  };
  const related = address("192.168.1.2:5000");
  const host = candidate("192.168.1.2:5000");
  const [first, second] = [7_001, 7_002].map((port) =>
    candidate(`198.51.100.7:${port}`, "srflx", { related, foundation: `s${port}`, priority: 9_000 - port }),
  ) as [typeof host, typeof host];
  const relay = candidate("203.0.113.9:9", "relay", { priority: 1 });
  assert.deepEqual(
    order("198.51.100.7:1", host, first),
    ["192.168.1.2:5000", "198.51.100.7:7001"],
    "one network, perhaps",
  );
  assert.deepEqual(order("198.51.100.99:1", host, first), ["198.51.100.7:7001", "192.168.1.2:5000"], "hardly");
  assert.deepEqual(order("198.51.100.99:1", first, second, relay), [
    "198.51.100.7:7001",
    "203.0.113.9:9",
    "198.51.100.7:7002",
  ]);
  const [one, other] = [first, second].map((told) => ({ ...told, related: address("0.0.0.0:9") })) as [
    typeof host,
    typeof host,
  ];
  assert.deepEqual(
    order("198.51.100.99:1", one, other, relay).slice(0, 2),
    ["198.51.100.7:7001", "198.51.100.7:7002"],
    "sockets that are not told are not the same",
  );
  const publicHost = candidate("198.51.100.8:5000");
  assert.deepEqual(order("198.51.100.99:1", publicHost, first)[0], "198.51.100.8:5000");
});

test("a check from an unlikely address makes it likely", () => {
  const solo = new Solo().begin(
    candidate("198.51.100.7:7001", "srflx", { related: PEER }),
    candidate("198.51.100.7:7002", "srflx", { related: PEER, foundation: "s2", priority: 2 ** 31 - 2 }),
  );
  solo.run(20);
  solo.answer(address("198.51.100.7:7001"));
  solo.check({ from: address("198.51.100.7:7002") });
  solo.run(60);
  assert.equal(solo.requests.at(-1)?.to, "198.51.100.7:7002", "it is better than the valid one, and waited for");
});

test("what our own relay could check is held back while a better check may be answered, and the slot is free", () => {
  const solo = new Solo({ role: "controlled" }).begin(candidate("198.51.100.7:2000"));
  const other = address("198.51.100.8:2000");
  solo.do((agent) =>
    agent.handleRelayed(
      { base: 9 as BaseId, stream: 0, component: 1, address: address("203.0.113.9:1"), mapped: OWN, transport: "udp" },
      solo.now,
    ),
  );
  solo.do((agent) => agent.handleRemoteCandidate(0, candidate("198.51.100.8:2000", "srflx"), solo.now));
  for (const { peer } of solo.permits) solo.do((agent) => agent.handlePermitted(9 as BaseId, peer, solo.now));
  solo.run(40);
  solo.answer();
  solo.run(80);
  assert.equal(solo.requests.filter(({ base }) => base === 9).length, 0, "the second may be answered until 1130");
  solo.check({ from: { ...other, port: 7 } });
  assert.equal(solo.requests.at(-1)?.at, 1_120, "a triggered check goes at once");
  solo.run(200);
  assert.ok(solo.requests.some(({ base }) => base === 9));
});
