/** The media lane. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { address } from "../turn/server/world.ts";
import { candidate, OWN, PEER, PEERS, Solo } from "./solo.ts";

const data = Uint8Array.of(0x80, 1, 2, 3);

test("there is no way before a pair is valid, and then it is always the same object", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"));
  assert.equal(solo.agent.send(0, 1, data), undefined);
  solo.answer();
  const route = solo.agent.send(0, 1, data);
  assert.deepEqual([route?.base.id, route?.remoteAddress.port], [1, 2000]);
  assert.equal(solo.agent.send(0, 1, data), route);
  assert.deepEqual([solo.pair()?.packetsSent, solo.pair()?.bytesSent], [2, 8]);
});

suite("RFC 7983 §7: what is not STUN is the application's, from a peer that has proven to be there", () => {
  test("by an answer, or by a check", () => {
    for (const prove of [(solo: Solo) => solo.answer(), (solo: Solo) => void solo.check()]) {
      const solo = new Solo().begin(candidate("198.51.100.7:2000"));
      assert.equal(solo.deliver(data), false);
      assert.equal(solo.agent.drops.unvalidated, 1);
      prove(solo);
      assert.equal(solo.deliver(data), true);
    }
  });

  test("every first byte but STUN's; and even that, without the magic cookie", () => {
    const solo = new Solo().connected();
    for (let first = 0; first < 256; first++) {
      const bytes = new Uint8Array(40).fill(7);
      bytes[0] = first;
      assert.equal(solo.deliver(bytes), true, String(first));
    }
    assert.equal(solo.deliver(new Uint8Array(0)), true);
    const rtp = Uint8Array.of(0x80, 0, 0, 0, 0x21, 0x12, 0xa4, 0x42, ...new Uint8Array(20));
    assert.equal(solo.deliver(rtp), true, "an RTP timestamp may be the magic cookie");
  });

  test("not from other addresses or ports, nor to other sockets", () => {
    const solo = new Solo().connected();
    assert.equal(solo.deliver(data, { ...PEER, port: 2001 }), false);
    assert.equal(solo.deliver(data, address("203.0.113.66:2000")), false);
    assert.equal(solo.deliver(data, PEER, 77), false);
    assert.equal(solo.agent.drops["unknown-base"], 1);
  });
});

test("a closed agent sends and takes nothing, and has nothing left to wait for", () => {
  const solo = new Solo().connected();
  const sent = solo.sent.length;
  solo.do((agent) => agent.close(solo.now));
  solo.do((agent) => agent.close(solo.now));
  assert.equal(solo.agent.state, "closed");
  assert.equal(solo.agent.pollTimeout(), undefined);
  assert.equal(solo.deliver(data), false);
  assert.equal(solo.check(), undefined);
  assert.equal(solo.agent.send(0, 1, data), undefined);
  assert.equal(solo.sent.length, sent);
});

test("what is answered to a closed agent comes to nothing", () => {
  const server = address("203.0.113.1:3478");
  const solo = new Solo({ stunServers: [server] }).gather();
  solo.do((agent) => agent.handleRelayPending(7, 0, 1));
  solo.do((agent) => {
    const relay = { base: 8, stream: 0, component: 1, address: address("203.0.113.2:5000"), mapped: OWN };
    agent.handleRelayed({ ...relay, transport: "udp" }, solo.now);
    const candidates = [candidate("198.51.100.7:2000"), candidate("198.51.100.8:2000")];
    agent.handleRemoteDescription(0, { ...PEERS, candidates }, solo.now);
    agent.close(solo.now);
  });
  const [sent, events] = [solo.sent.length, solo.events.length];
  solo.do((agent) => {
    agent.handlePermitted(8, address("198.51.100.7:0"), solo.now);
    agent.handleNotPermitted(8, address("198.51.100.8:0"), "Denied.", solo.now);
    agent.handleRelayFailed(7, "Nobody answers.", solo.now);
    agent.handleAddressLost(1, solo.now);
    agent.handleRemoteNameFailed(0, "Nobody answers.", solo.now);
  });
  solo.run(60_000);
  assert.deepEqual([solo.sent.length, solo.events.length, solo.agent.pollTimeout()], [sent, events, undefined]);
  const told = (): void => solo.agent.handleRemoteCandidate(0, candidate("198.51.100.9:2000"), solo.now);
  assert.throws(told, { code: "closed" });
  assert.throws(() => solo.agent.handleEndOfCandidates(0, solo.now), { code: "closed" });
});
