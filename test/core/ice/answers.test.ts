/** Checks that the peer makes, and strangers' attempts. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { encodeUtf8 } from "../../../src/core/base/utf8.ts";
import { hasIntegritySha1 } from "../../../src/core/stun/integrity.ts";
import { Attribute, MessageClass } from "../../../src/core/stun/registry.ts";
import { testCrypto } from "../../support/crypto.ts";
import { address } from "../turn/server/world.ts";
import { candidate, errorCode, mappedOf, PEER, PEERS, type Sent, Solo } from "./solo.ts";

const stranger = address("203.0.113.66:6666");

function isOwn(solo: Solo, { view }: Sent): boolean {
  const key = testCrypto.importKey(encodeUtf8(solo.agent.credentials?.password as string));
  return hasIntegritySha1(view, testCrypto, key) && view.has(Attribute.Fingerprint);
}

test("RFC 8445 §7.3.1.2: a check is answered with the address that it came from, sealed with our password", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"));
  const answer = solo.check();
  assert.ok(answer && isOwn(solo, answer));
  assert.equal(mappedOf(answer), "198.51.100.7:2000");
  assert.deepEqual([answer.base, answer.to], [1, "198.51.100.7:2000"]);
});

suite("RFC 8489 §9.1.3: what is not sealed is refused, and changes nothing", () => {
  const cases: Record<string, [(solo: Solo) => Uint8Array, number]> = {
    "no integrity": [
      (solo) => solo.begun(MessageClass.Request).text(Attribute.Username, "x:y").fingerprint().finish(),
      400,
    ],
    "no user name": [(solo) => solo.seal(solo.begun(MessageClass.Request), "whatever it is, it is none"), 400],
    "another password": [(solo) => solo.checkBytes({ password: "of twenty-two letters!" }), 401],
    "another fragment": [(solo) => solo.checkBytes({ username: `xxxx:${PEERS.ufrag}` }), 401],
    "no colon": [(solo) => solo.checkBytes({ username: "x" }), 401],
  };
  for (const [name, [bytes, code]] of Object.entries(cases)) {
    test(name, () => {
      const solo = new Solo().begin(candidate("198.51.100.7:2000"));
      const before = solo.requests.length;
      solo.deliver(bytes(solo), stranger);
      const refusal = solo.sent.at(-1) as Sent;
      assert.equal(errorCode(refusal), code);
      assert.ok(refusal.view.data.length <= bytes(solo).length, "no amplification");
      solo.run(60);
      assert.equal(solo.requests.length, before, "nothing is sent to strangers");
      assert.equal(solo.agent.report(0)?.remote.length, 1);
    });
  }
});

test("strangers get nothing that is longer than what they sent", () => {
  const solo = new Solo().begin();
  solo.deliver(solo.begun(MessageClass.Request).finish(), stranger);
  assert.equal(solo.sent.length, 0);
  assert.equal(solo.agent.drops.unsealed, 1);
});

test("strangers get twenty errors in a second", () => {
  const solo = new Solo().begin();
  for (let n = 0; n < 50; n++) solo.deliver(solo.checkBytes({ password: "of twenty-two letters!" }), stranger);
  assert.equal(solo.sent.length, 20);
  solo.run(1_000);
  solo.deliver(solo.checkBytes({ password: "of twenty-two letters!" }), stranger);
  assert.equal(solo.sent.length, 21);
});

test("RFC 8489 §6.3.1: an attribute that must be understood and is not is named in a 420", () => {
  const solo = new Solo().begin();
  const refusal = solo.check({ fill: (writer) => writer.u32(0x7777, 1) });
  assert.ok(refusal && isOwn(solo, refusal));
  assert.equal(errorCode(refusal), 420);
  assert.deepEqual(refusal.view.bytes(Attribute.UnknownAttributes), Uint8Array.of(0x77, 0x77));
});

test("RFC 8445 §7.1.1: a check without PRIORITY is a bad request", () => {
  const refusal = new Solo().begin().check({ priority: undefined });
  assert.equal(refusal && errorCode(refusal), 400);
});

test("RFC 8445 §7.3.1.3: an unknown source is a peer-reflexive candidate, and is checked at once", () => {
  const solo = new Solo().begin();
  solo.check({ priority: 12_345_678 });
  assert.deepEqual(
    solo.agent.report(0)?.remote.map(({ type, priority }) => [type, priority]),
    [["prflx", 12_345_678]],
  );
  assert.equal(solo.requests.at(-1)?.to, "198.51.100.7:2000");
});

test("RFC 8838 §11.4: what the peer tells of a candidate that a check has shown replaces what was guessed", () => {
  const solo = new Solo().begin();
  solo.check({ priority: 2 ** 30 });
  solo.do((agent) => agent.handleRemoteCandidate(0, candidate("198.51.100.7:2000", "relay"), solo.now));
  assert.deepEqual(
    solo.agent.report(0)?.remote.map(({ type }) => type),
    ["relay"],
  );
  assert.equal(solo.pair()?.kind, "relayed");
});

test("RFC 8838 §11.4: a path in use that was taken for direct is said to be relayed once the peer tells so", () => {
  const solo = new Solo().begin();
  solo.check({ priority: 2 ** 30 });
  solo.answer();
  solo.run(60);
  solo.answer();
  assert.equal(solo.agent.path(0, 1)?.kind, "direct");
  assert.equal(solo.agent.path(0, 2), undefined, "there is no such component");
  solo.do((agent) => agent.handleRemoteCandidate(0, candidate("198.51.100.7:2000", "relay"), solo.now));
  assert.equal(solo.agent.path(0, 1)?.kind, "relayed");
});

test("a peer-reflexive candidate with the priority of a relayed one is taken for that", () => {
  const solo = new Solo().begin();
  solo.check({ priority: 2 ** 24 - 1 });
  assert.equal(solo.pair()?.kind, "relayed");
});

suite("RFC 8445 §7.3: checks that come before the peer's description are answered, and wait for it", () => {
  test("they count then", () => {
    const solo = new Solo({ role: "controlled" }).gather();
    assert.equal(solo.check({ useCandidate: true })?.view.class, MessageClass.Success);
    assert.equal(solo.requests.length, 0);
    solo.do((agent) => agent.handleRemoteDescription(0, PEERS, solo.now));
    assert.equal(solo.requests.length, 1);
    solo.answer();
    assert.equal(solo.agent.state, "connected");
  });

  test("but not those of somebody else", () => {
    const solo = new Solo().gather();
    solo.check({ username: `${solo.agent.credentials?.ufrag}:other` });
    solo.do((agent) => agent.handleRemoteDescription(0, PEERS, solo.now));
    assert.equal(solo.agent.report(0)?.remote.length, 0);
  });

  test("and only so many", () => {
    const solo = new Solo().gather();
    for (let n = 0; n < 100; n++) solo.check({ from: { ...PEER, port: 3000 + n } });
    for (let n = 0; n < 10; n++) solo.check({ from: { ...PEER, port: 3000 } });
    solo.do((agent) => agent.handleRemoteDescription(0, PEERS, solo.now));
    assert.equal(solo.agent.report(0)?.remote.length, 32);
  });
});

test("an indication, another method, and bytes that are none of STUN's", () => {
  const solo = new Solo().begin();
  solo.deliver(solo.begun(MessageClass.Indication).fingerprint().finish());
  const other = solo.checkBytes();
  other[1] = 3;
  solo.deliver(other);
  solo.deliver(solo.checkBytes().subarray(0, 40));
  assert.equal(solo.sent.length, 0);
  assert.equal(solo.agent.drops.malformed, 2);
});
