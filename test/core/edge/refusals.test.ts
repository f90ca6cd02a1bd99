/** Who guesses passwords, scans, or dials what is not allowed: what that brings, and what is remembered of it. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { UnixSeconds } from "../../../src/core/base/machine.ts";
import type { Crypto } from "../../../src/core/base/ports.ts";
import { type Prefix, parsePrefix } from "../../../src/core/base/prefix.ts";
import { DEFAULT_EDGE_LIMITS, type Trunk } from "../../../src/core/edge/config.ts";
import { DigestServer } from "../../../src/core/sip/digest/authorization.ts";
import { SeededRandom, testCrypto } from "../../support/crypto.ts";
import { at, DOMAIN, Phone, World } from "./world.ts";

/** A phone that has been challenged, and knows a nonce. */
function challenged(world: World, user: string, outside: string, port = 40_000): Phone {
  const phone = new Phone(world, user, { outside, port, inside: `10.0.1.${port % 250}` });
  phone.send(phone.registration());
  assert.equal(phone.response.status, 401);
  return phone;
}

function show(phone: Phone, password?: string): void {
  const request = phone.registration();
  request.headers.set("Authorization", phone.authorize(request, password));
  phone.send(request);
}

function lately(world: World): (string | number | undefined)[][] {
  return world.edge.refusals(world.now).map(({ why, name, count }) => [why, name, count]);
}

suite("passwords that are wrong", () => {
  test("so many times are looked at no more, not even the right one; others behind that address, and later, are let in", () => {
    const world = new World({ limits: { ...DEFAULT_EDGE_LIMITS, strangersPerSecond: 1_000 } });
    const mallory = challenged(world, "alice", "198.51.100.66");
    for (let i = 0; i < 30; i++) show(mallory, `guess ${i}`);
    assert.equal(world.edge.stats.refused["wrong-password"], 30);
    const before = mallory.responses.length;
    show(mallory);
    assert.equal(mallory.responses.length, before, "silence, which says nothing of the password");
    assert.equal(world.edge.stats.refused.banned, 1);
    assert.deepEqual([...world.edge.bindings()], []);
    const bob = new Phone(world, "bob", { outside: "198.51.100.66", port: 40_001 });
    assert.equal(bob.register().status, 200);
    const alice = new Phone(world, "alice", { outside: "198.51.100.7", inside: "10.0.0.7" });
    assert.equal(alice.register().status, 200, "who has that name and is elsewhere");
    world.pass(61_000);
    const again = challenged(world, "alice", "198.51.100.66", 40_002);
    show(again);
    assert.equal(again.response.status, 200);
  });

  test("and shown beside a phone that is registered do not keep that one out", () => {
    const world = new World({ limits: { ...DEFAULT_EDGE_LIMITS, strangersPerSecond: 1_000 } });
    const alice = new Phone(world, "alice", { outside: "198.51.100.66", port: 50_000 });
    assert.equal(alice.register().status, 200);
    const mallory = challenged(world, "alice", "198.51.100.66");
    for (let i = 0; i < 40; i++) show(mallory, `guess ${i}`);
    assert.equal(world.edge.stats.refused.banned, 10);
    assert.equal(alice.register().status, 200);
  });

  test("of a user and of nobody get the same answer, for the same work", () => {
    const answers = ["alice", "nobody"].map((user) => {
      const world = new World();
      const phone = challenged(world, user, "198.51.100.66");
      show(phone, "guess");
      const { status, reason, headers } = phone.response;
      // Its own name is given back, and whatever is random differs.
      return [status, reason, ...headers.fields.map(({ name }) => name)];
    });
    assert.deepEqual(answers[0], answers[1]);
    assert.equal(answers[0]?.[0], 401);
    for (const algorithm of ["MD5", "SHA-256"] as const) {
      const work = [new Uint8Array(algorithm === "MD5" ? 16 : 32).fill(1), undefined].map((ha1) => {
        let hashed = 0;
        const hashText: Crypto["hashText"] = (by, text) => {
          hashed += text.length;
          return testCrypto.hashText(by, text);
        };
        const crypto: Crypto = { ...testCrypto, hashText };
        const ports = { crypto, random: new SeededRandom(1), wallClock: { now: () => 0 as UnixSeconds } };
        const nonceKeys = [new Uint8Array(32)];
        const config = { realm: DOMAIN, nonceKeys, nonceLifetime: 300, algorithms: [algorithm], nonceCapacity: 10 };
        const claim = { username: "u", realm: DOMAIN, algorithm, nonce: "n", issuedAt: 0 as UnixSeconds };
        const rest = { nonceCount: "00000001", cnonce: "c", uri: "sip:x", response: "0".repeat(64) };
        assert.equal(new DigestServer(config, ports).verify({ ...claim, ...rest }, "REGISTER", ha1), "wrong");
        return hashed;
      });
      assert.equal(work[0], work[1], algorithm);
      assert.ok((work[0] as number) > 0);
    }
  });
});

suite("refused lately", () => {
  test("says who, why and how often, the latest first, for an hour", () => {
    const world = new World();
    const scanner = new Phone(world, "100", { outside: "203.0.113.9", transport: "tcp" });
    for (let i = 0; i < 410; i++) {
      const scan = scanner.invitation("bob");
      scan.headers.set("User-Agent", "friendly-scanner");
      scanner.send(scan);
    }
    assert.deepEqual(scanner.responses, [], "in silence");
    world.pass(60_000);
    const phone = challenged(world, "alice", "198.51.100.7");
    for (let i = 0; i < 2; i++) show(phone, "old");
    assert.deepEqual(lately(world), [
      ["wrong-password", "alice", 2],
      ["scanner", undefined, 410],
    ]);
    const [, scan] = world.edge.refusals(world.now);
    assert.deepEqual([scan?.remote.w3, world.now - (scan?.lastAt ?? 0)], [at("203.0.113.9", 0).w3, 60_000]);
    world.pass(3_540_000);
    assert.deepEqual(lately(world), [["wrong-password", "alice", 2]]);
    world.pass(60_000);
    assert.deepEqual(lately(world), []);
  });

  test("is bounded, and what strangers can cause pushes nothing else out", () => {
    const world = new World();
    const phone = challenged(world, "alice", "198.51.100.7");
    show(phone, "old");
    for (let n = 0; n < 10_000; n++) {
      const { flow } = phone;
      const scan = phone.invitation("bob");
      scan.headers.set("User-Agent", "sipvicious");
      const remote = { ...flow.remote, w3: 0x0b000000 + n };
      world.edge.handleText(scan.format(), { ...flow, remote }, world.now);
    }
    assert.equal(world.edge.stats.refused.scanner, 10_000);
    const all = lately(world);
    assert.equal(all.length, 65);
    assert.ok(all.some(([why]) => why === "wrong-password"));
  });

  test("has no phone that was asked for its password, and then showed it", () => {
    const world = new World();
    assert.equal(new Phone(world, "alice", { outside: "198.51.100.7" }).register().status, 200);
    assert.deepEqual(lately(world), []);
  });
});

test("each user dials what the lines of trunks allow, by prefix, and nobody else's prefix", () => {
  const line = (name: string, prefixes: readonly string[], users: readonly string[]): Trunk => ({
    ...{ name, sources: [parsePrefix("198.18.0.5/32") as Prefix], media: [], host: "sip.provider.example" },
    target: { transport: "udp", address: at("198.18.0.5", 5060) },
    ...{ prefixes, users: new Set(users) },
  });
  const world = new World({ trunks: [line("home", ["+49"], ["alice", "bob"]), line("world", ["+"], ["alice"])] });
  new Phone(world, "gateway", { outside: "198.18.0.5", port: 5060, inside: "198.18.0.5" });
  const phones = ["alice", "bob", "carol"].map((user, n) => new Phone(world, user, { outside: `198.51.100.${n + 1}` }));
  const statuses = phones.map((phone) =>
    ["+4930123", "+1900666", "0900666"].map((number) => phone.ask(phone.invitation(number)).status),
  );
  assert.deepEqual(statuses, [
    [100, 100, 480],
    [100, 403, 480],
    [403, 403, 480],
  ]);
});
