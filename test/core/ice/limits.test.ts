/** How much a peer may ask of an agent. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import type { BaseId } from "../../../src/core/ice/base.ts";
import type { IceReport } from "../../../src/core/ice/report.ts";
import { address } from "../turn/server/world.ts";
import { candidate, OWN, PEERS, Solo } from "./solo.ts";

const crowd = Array.from({ length: 1_000 }, (_, n) =>
  candidate(`198.51.${n >> 8}.${n & 255}:2000`, "host", {
    priority: 1_000 + ((n * 7_919) % 1_000),
    foundation: `f${n}`,
  }),
);

test("of a thousand candidates the best sixty are kept", () => {
  const solo = new Solo().gather();
  solo.do((agent) => agent.handleRemoteDescription(0, PEERS, solo.now));
  // One at a time before any check is due, so that nothing is in use.
  for (const one of crowd) solo.do((agent) => agent.handleRemoteCandidate(0, one, solo.now));
  const kept = solo.agent.report(0)?.remote ?? [];
  assert.equal(kept.length, 60);
  assert.ok(kept.filter(({ priority }) => priority >= 1_940).length >= 58, "but for what was under way already");
});

test("RFC 8445 §6.1.2.5: no more than a hundred pairs, the best ones", () => {
  const solo = new Solo().gather(...[1, 2, 3, 4].map((n) => address(`192.0.2.${n}:1000`)));
  solo.do((agent) => agent.handleRemoteDescription(0, { ...PEERS, candidates: crowd.slice(0, 60) }, solo.now));
  const pairs = solo.agent.report(0)?.pairs ?? [];
  assert.equal(pairs.length, 100);
  const best = [...crowd.slice(0, 60)].sort((a, b) => b.priority - a.priority).slice(0, 20);
  for (const one of best) assert.ok(pairs.some(({ remote }) => remote.address.w3 === one.address.w3));
});

test("a peer that checks from ever new ports fills no more than that, and loses no path", () => {
  const solo = new Solo().connected();
  for (let n = 0; n < 2_000; n++) solo.check({ from: address(`198.51.100.7:${3_000 + n}`), priority: 2 ** 31 - 1 - n });
  assert.ok((solo.agent.report(0)?.remote.length ?? 0) <= 60);
  assert.ok((solo.agent.report(0)?.pairs.length ?? 0) <= 100);
  assert.ok(solo.pair()?.isSelected);
});

test("sockets of many addresses: each has its own preference", () => {
  const solo = new Solo();
  const hosts = Array.from({ length: 50 }, (_, n) => ({
    base: n as BaseId,
    stream: 0,
    component: 1,
    address: { ...OWN, port: 1_000 + n },
  }));
  solo.do((agent) => agent.gather(hosts, solo.now));
  assert.equal(new Set(solo.all("candidate").map((one) => one.candidate.priority)).size, 50);
});

test("RFC 8445 §6.1.2.2: pairs are of one family, and link-local addresses meet none but their like", () => {
  const solo = new Solo().gather(address("192.0.2.1:1"), address("[2001:db8::1]:2"), address("[fe80::1]:3"));
  const texts = ["198.51.100.7:4", "[2001:db8::7]:5", "[fe80::7]:6"];
  const candidates = texts.map((text, n) => candidate(text, "host", { foundation: `f${n}` }));
  solo.do((agent) => agent.handleRemoteDescription(0, { ...PEERS, candidates }, solo.now));
  const met = (solo.agent.report(0)?.pairs ?? []).map(({ local, remote }) => [local.address.port, remote.address.port]);
  assert.deepEqual(
    met.sort((a, b) => (a[0] as number) - (b[0] as number)),
    [
      [1, 4],
      [2, 5],
      [3, 6],
    ],
  );
});

test("RFC 8838 §11.4: of two candidates with one address the one with the higher priority stays", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000", "srflx"));
  solo.do((agent) => agent.handleRemoteCandidate(0, candidate("198.51.100.7:2000", "relay"), solo.now));
  assert.equal(solo.agent.report(0)?.remote[0]?.type, "srflx");
  solo.do((agent) => agent.handleRemoteCandidate(0, candidate("198.51.100.7:2000", "host"), solo.now));
  assert.deepEqual(
    solo.agent.report(0)?.remote.map(({ type }) => type),
    ["host"],
  );
  assert.equal(solo.agent.report(0)?.pairs.length, 1);
});

test("a pair in use is never given up for lack of room", () => {
  const solo = new Solo({ maxPairs: 2 }).begin(candidate("198.51.100.7:2000", "relay"));
  solo.answer();
  for (let n = 1; n < 6; n++) {
    const one = candidate(`198.51.100.${10 + n}:2000`, "host", { foundation: `f${n}`, priority: 2 ** 30 + n });
    solo.do((agent) => agent.handleRemoteCandidate(0, one, solo.now));
  }
  assert.equal(solo.agent.report(0)?.pairs.length, 2);
  assert.ok(solo.pair()?.isValid);
});

test("a peer that tells ever new addresses makes for few permissions", () => {
  const solo = new Solo().gather();
  const relay = { base: 8, stream: 0, component: 1, address: address("203.0.113.2:5000"), mapped: OWN };
  solo.do((agent) => agent.handleRelayed({ ...relay, transport: "udp" }, solo.now));
  solo.do((agent) => agent.handleRemoteDescription(0, PEERS, solo.now));
  for (let n = 0; n < 1_000; n++) {
    const one = candidate(`198.51.${n >> 8}.${n & 255}:2000`, "host", { priority: 1_000 + n });
    solo.do((agent) => agent.handleRemoteCandidate(0, one, solo.now));
  }
  assert.equal(solo.permits.length, 120);
  const { pairs } = solo.agent.report(0) as IceReport;
  assert.ok(
    pairs.some(({ failure }) => failure === "permission-refused"),
    "what waits for none is no hope",
  );
});

suite("addresses that a peer may not have us send to", () => {
  const never = ["0.0.0.0:4", "224.0.0.251:4", "255.255.255.255:4", "[::]:4", "[ff02::fb]:4", "[::ffff:127.0.0.1]:4"];
  const sockets = [address("192.0.2.1:1"), address("[2001:db8::1]:2"), address("127.0.0.1:3"), address("[::1]:4")];

  const met = (text: string): (string | undefined)[] => {
    const solo = new Solo().gather(...sockets);
    solo.do((agent) => agent.handleRemoteDescription(0, { ...PEERS, candidates: [candidate(text)] }, solo.now));
    return (solo.agent.report(0)?.pairs ?? []).map(({ local }) => formatAddress(local.address));
  };

  for (const text of never) test(text, () => assert.deepEqual(met(text), []));
});
