/** Gathering: which candidates there are, in which order, and how long it takes. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import type { BaseId } from "../../../src/core/ice/base.ts";
import { interleaveFamilies } from "../../../src/core/ice/dual-stack.ts";
import { candidatePriority, pairPriority } from "../../../src/core/ice/priority.ts";
import { Attribute, MessageClass } from "../../../src/core/stun/registry.ts";
import { address } from "../turn/server/world.ts";
import { candidate, OWN, PEER, PEERS, type Sent, Solo } from "./solo.ts";

const servers = [address("203.0.113.1:3478"), address("203.0.113.2:3478")];
const mapped = address("198.18.0.1:7777");
const relay = {
  base: 9 as BaseId,
  stream: 0,
  component: 1,
  address: address("203.0.113.9:50000"),
  transport: "udp",
  mapped,
} as const;

function reply(solo: Solo, to: Sent, seen = mapped): Uint8Array {
  return solo
    .begun(MessageClass.Success, to.view.data.slice(4, 20))
    .xorAddress(Attribute.XorMappedAddress, seen)
    .finish();
}

function told(solo: Solo): string[] {
  return solo.all("candidate").map(({ candidate: { type, address: one } }) => `${type} ${formatAddress(one)}`);
}

test("RFC 8445 §5.1.2.1: the formula of candidates' priorities", () => {
  assert.equal(candidatePriority("host", 65_535, 1), 2_130_706_431);
  assert.equal(candidatePriority("srflx", 65_535, 2), 1_694_498_814);
  assert.equal(candidatePriority("relay", 0, 256), 0);
});

test("RFC 8445 §6.1.2.3: pairs' priorities are exact in 64 bits", () => {
  const [g, d] = [2 ** 32 - 1, 2 ** 32 - 2];
  assert.equal(pairPriority(g, d), 0xffff_fffe_0000_0000n + 2n * 0xffff_ffffn + 1n);
  assert.equal(pairPriority(d, g), pairPriority(g, d) - 1n);
  assert.equal(pairPriority(g, g), 0xffff_ffff_0000_0000n + 2n * 0xffff_ffffn);
});

test("RFC 8421 §4: an IPv4 address stands behind every (N_4 + N_6) / N_4 of IPv6, and none is lost", () => {
  const of = (six: number, four: number): string => {
    const all = [...new Array(four).fill("198.51.100.1:1"), ...new Array(six).fill("[2001:db8::1]:1")];
    return interleaveFamilies(all.map((text) => ({ address: address(text) })))
      .map(({ address: { family } }) => family)
      .join("");
  };
  assert.deepEqual([of(12, 2), of(1, 1), of(1, 3), of(0, 2), of(2, 0)], ["66666664666664", "64", "6444", "44", "66"]);
});

test("RFC 8445 §5.1.1: host candidates are told at once, the best first, each priority once", () => {
  const solo = new Solo().gather(address("198.51.100.1:1"), address("198.51.100.2:2"), address("[2001:db8::1]:3"));
  assert.deepEqual(told(solo), ["host [2001:db8::1]:3", "host 198.51.100.1:1", "host 198.51.100.2:2"]);
  const priorities = solo.all("candidate").map((one) => one.candidate.priority);
  assert.deepEqual(
    priorities,
    [...new Set(priorities)].sort((a, b) => b - a),
  );
  assert.equal(solo.all("gathered").length, 1, "there is nobody to ask");
});

test("RFC 8445 §5.1.1.2: each server is asked from each socket, Ta apart; what they see is a candidate, once", () => {
  const solo = new Solo({ stunServers: servers }).gather().run(50);
  assert.deepEqual(
    solo.requests.map(({ at, to }) => [at - 1000, to]),
    [
      [0, "203.0.113.1:3478"],
      [50, "203.0.113.2:3478"],
    ],
  );
  for (const [n, server] of servers.entries()) solo.deliver(reply(solo, solo.requests[n] as Sent), server);
  assert.deepEqual(told(solo), ["host 192.0.2.1:1000", "srflx 198.18.0.1:7777"]);
  assert.equal(solo.all("gathered")[0]?.at, 1050);
  assert.equal(formatAddress(solo.all("candidate")[1]?.candidate.related as typeof OWN), "192.0.2.1:1000");
});

test("RFC 8445 §5.1.3: without a NAT the reflexive candidate is redundant", () => {
  const solo = new Solo({ stunServers: [servers[0] as typeof OWN] }).gather();
  solo.deliver(reply(solo, solo.lastRequest(servers[0]), OWN), servers[0]);
  assert.deepEqual(told(solo), ["host 192.0.2.1:1000"]);
});

test("a server's answer from elsewhere is not its answer", () => {
  const solo = new Solo({ stunServers: [servers[0] as typeof OWN] }).gather();
  const bytes = reply(solo, solo.lastRequest(servers[0]));
  solo.deliver(bytes, PEER);
  assert.equal(told(solo).length, 1);
  solo.deliver(bytes, servers[0]);
  assert.equal(told(solo).length, 2);
});

test("a server that never answers costs its budget and no more; what comes later is not told", () => {
  const solo = new Solo({ stunServers: servers, gatheringBudget: 1_200 }).gather().run(60);
  solo.deliver(reply(solo, solo.lastRequest(servers[0])), servers[0]);
  solo.run(5_000);
  assert.equal(solo.all("gathered")[0]?.at, 2_200);
  solo.deliver(reply(solo, solo.lastRequest(servers[1]), address("198.18.0.1:8888")), servers[1]);
  assert.equal(told(solo).length, 2);
  assert.equal(solo.agent.report(0)?.servers.filter((one) => one.mapped !== undefined).length, 2, "but it is known");
});

test("the check of a peer waits for no server", () => {
  const solo = new Solo({ stunServers: servers }).begin(candidate("198.51.100.7:2000"));
  solo.run(100);
  assert.equal(solo.requests.filter(({ to }) => to === "198.51.100.7:2000")[0]?.at, 1_050);
});

test("RFC 8445 §5.1.1.4: until there is a path, the mappings are kept alive", () => {
  const solo = new Solo({ stunServers: [servers[0] as typeof OWN] }).gather();
  solo.deliver(reply(solo, solo.lastRequest(servers[0])), servers[0]);
  for (let n = 1; n <= 40; n++) {
    solo.run(15_000);
    solo.deliver(reply(solo, solo.lastRequest(servers[0])), servers[0]);
  }
  assert.equal(solo.requests.length, 41, "for ten minutes");
});

suite("relayed candidates", () => {
  test("gathering waits for an allocation, and tells its address with whence it came", () => {
    const solo = new Solo();
    solo.do((agent) => agent.handleRelayPending(9 as BaseId, 0, 1));
    solo.gather().run(100);
    assert.equal(solo.all("gathered").length, 0);
    solo.do((agent) => agent.handleRelayed(relay, solo.now));
    assert.deepEqual(told(solo), ["host 192.0.2.1:1000", "relay 203.0.113.9:50000"]);
    assert.equal(formatAddress(solo.all("candidate")[1]?.candidate.related as typeof OWN), "198.18.0.1:7777");
    assert.equal(solo.all("gathered")[0]?.at, 1_100);
  });

  test("no allocation is an end of waiting, and its reason is kept", () => {
    const solo = new Solo();
    solo.do((agent) => agent.handleRelayPending(9 as BaseId, 0, 1));
    solo.gather();
    solo.do((agent) => agent.handleRelayFailed(9 as BaseId, "The server is full.", solo.now));
    assert.equal(solo.all("gathered").length, 1);
    assert.deepEqual(solo.agent.report(0)?.relayFailures, ["The server is full."]);
  });

  test("RFC 8656 §9: the peer is checked through it when the permission is there, and by its base", () => {
    const solo = new Solo({ policy: "relay" }).begin(candidate("198.51.100.7:2000"));
    solo.do((agent) => agent.handleRelayed(relay, solo.now));
    assert.deepEqual(
      solo.permits.map(({ base, peer }) => [base, formatAddress(peer)]),
      [[9, "198.51.100.7:2000"]],
    );
    solo.run(200);
    assert.equal(solo.requests.length, 0);
    solo.do((agent) => agent.handlePermitted(9 as BaseId, PEER, solo.now));
    assert.deepEqual(
      solo.requests.map(({ base, to }) => [base, to]),
      [[9, "198.51.100.7:2000"]],
    );
  });

  test("DEVIATES RFC 8445 §7.1.1: the check of a relayed candidate shows its own priority", () => {
    const solo = new Solo({ policy: "relay" }).begin(candidate("198.51.100.7:2000"));
    solo.do((agent) => agent.handleRelayed(relay, solo.now));
    solo.do((agent) => agent.handlePermitted(9 as BaseId, PEER, solo.now));
    assert.equal(solo.lastRequest().view.u32(Attribute.Priority), candidatePriority("relay", 65_535, 1));
  });

  test("a refused permission fails the pair, with the relay's reason", () => {
    const solo = new Solo().begin(candidate("198.51.100.7:2000"));
    solo.do((agent) => agent.handleRelayed(relay, solo.now));
    solo.do((agent) =>
      agent.handleNotPermitted(9 as BaseId, PEER, "The server does not relay to this peer.", solo.now),
    );
    const report = solo.agent.report(0);
    assert.deepEqual(
      report?.pairs.map(({ failure }) => failure),
      [undefined, "permission-refused"],
    );
    assert.deepEqual(report?.refusedPeers, ["The server does not relay to this peer."]);
  });

  test("with the policy `relay` neither host nor reflexive candidates are told, and no address of the host", () => {
    const solo = new Solo({ policy: "relay", stunServers: servers });
    solo.do((agent) => agent.handleRelayPending(9 as BaseId, 0, 1));
    solo.gather();
    solo.do((agent) => agent.handleRelayed(relay, solo.now));
    assert.deepEqual(told(solo), ["relay 203.0.113.9:50000"]);
    assert.equal(formatAddress(solo.all("candidate")[0]?.candidate.related as typeof OWN), "0.0.0.0:0");
    solo.run(1_000);
    assert.equal(solo.requests.length, 0);
  });

  test("those that are reached over streams are worse", () => {
    const solo = new Solo().gather();
    for (const [n, transport] of (["tls", "tcp", "udp"] as const).entries()) {
      const base = (20 + n) as BaseId;
      solo.do((agent) =>
        agent.handleRelayed({ ...relay, base, transport, address: { ...relay.address, port: 50_000 + n } }, solo.now),
      );
    }
    const relays = (solo.agent.report(0)?.local ?? []).filter(({ type }) => type === "relay");
    assert.deepEqual(
      [...relays].sort((a, b) => b.priority - a.priority).map((one) => one.address.port),
      [50_002, 50_001, 50_000],
    );
  });
});

test("misuse throws", () => {
  const solo = new Solo();
  const base = { base: 1 as BaseId, stream: 0, component: 1, address: OWN };
  const throws = (code: string, act: () => void): void => assert.throws(act, { code });
  throws("not-gathering", () => solo.agent.handleRemoteDescription(0, PEERS, solo.now));
  throws("no-such-stream", () => solo.agent.gather([{ ...base, stream: 3 }], solo.now));
  const fresh = new Solo().gather();
  throws("gathering", () => fresh.agent.gather([], fresh.now));
  throws("base-taken", () => fresh.agent.handleAddressAdded(base, fresh.now));
  throws("no-such-component", () =>
    fresh.agent.handleAddressAdded({ ...base, base: 2 as BaseId, component: 2 }, fresh.now),
  );
  throws("bad-ice-credentials", () =>
    fresh.agent.handleRemoteDescription(0, { ufrag: "a b", password: "x" }, fresh.now),
  );
  fresh.do((agent) => agent.close(fresh.now));
  throws("closed", () => fresh.agent.restart(fresh.now));
});
