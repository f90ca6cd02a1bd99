import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, parseIp } from "../../../../src/core/base/address.ts";
import type { UnixSeconds } from "../../../../src/core/base/machine.ts";
import type { Ports } from "../../../../src/core/base/ports.ts";
import { digestHash, digestResponse } from "../../../../src/core/sip/digest/algorithm.ts";
import { chooseChallenge, formatAuthorization } from "../../../../src/core/sip/digest/answer.ts";
import { type Claim, type DigestParameters, DigestServer } from "../../../../src/core/sip/digest/authorization.ts";
import { NonceCounts } from "../../../../src/core/sip/digest/nonce-counts.ts";
import { SeededRandom, testCrypto } from "../../../support/crypto.ts";

const ACCOUNT = { realm: "sip.example.org", username: "alice", password: 'open "sesame"' };
const PHONE = parseIp("192.0.2.7", 5060) as Address;
const ELSEWHERE = parseIp("198.51.100.9", 5060) as Address;

function world() {
  let time = 1_700_000_000;
  const ports: Ports = {
    crypto: testCrypto,
    random: new SeededRandom(1),
    wallClock: { now: () => time as UnixSeconds },
  };
  const config = {
    realm: ACCOUNT.realm,
    nonceKeys: [new SeededRandom(2).bytes(32)],
    nonceLifetime: 300,
    algorithms: ["SHA-256", "MD5"] as const,
    nonceCapacity: 100,
  };
  const server = new DigestServer(config, ports);
  const ha1 = (algorithm: "MD5" | "SHA-256") =>
    digestHash(testCrypto, algorithm, `${ACCOUNT.username}:${ACCOUNT.realm}:${ACCOUNT.password}`);
  return {
    ports,
    config,
    server,
    ha1,
    pass: (seconds: number) => {
      time += seconds;
    },
    answer(count = 1, isStale = false, from: Address = PHONE) {
      const challenge = chooseChallenge(server.challenges(from, isStale).map(parameters), ACCOUNT);
      assert.ok(challenge);
      return parameters(formatAuthorization(ports, ACCOUNT, challenge, { method: "INVITE", uri: "sip:bob@x", count }));
    },
  };
}

/** Enough of a parser for values that were just formatted. */
function parameters(header: string): DigestParameters {
  const found = header.matchAll(/([a-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/gi);
  return new Map(
    [...found].map(([, name, text, token]) => [name as string, text?.replace(/\\(.)/g, "$1") ?? token ?? ""]),
  );
}

function claimOf(server: DigestServer, given: DigestParameters, from: Address = PHONE): Claim {
  const claim = server.examine([given], from);
  assert.ok(typeof claim === "object", String(claim));
  return claim;
}

test("RFC 7616 §3.9.1: the example's answers, by SHA-256 and by MD5", () => {
  const inputs = {
    method: "GET",
    uri: "/dir/index.html",
    nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    nonceCount: "00000001",
    cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
  };
  const ha1 = (algorithm: "MD5" | "SHA-256") =>
    digestHash(testCrypto, algorithm, "Mufasa:http-auth@example.org:Circle of Life");
  assert.equal(digestResponse(testCrypto, "MD5", ha1("MD5"), inputs), "8ca523f5e9506fed4657c9700eebdbec");
  assert.equal(
    digestResponse(testCrypto, "SHA-256", ha1("SHA-256"), inputs),
    "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
  );
});

test("RFC 8760 §2.4: SHA-256 is offered first, and a client takes the first that it knows", () => {
  const { server } = world();
  const challenges = server.challenges(PHONE, false);
  assert.deepEqual(
    challenges.map((one) => parameters(one).get("algorithm")),
    ["SHA-256", "MD5"],
  );
  assert.equal(chooseChallenge(challenges.map(parameters), ACCOUNT)?.algorithm, "SHA-256");
  const unknown = parameters('Digest realm="sip.example.org", nonce="n", algorithm=SHA-512-256, qop="auth"');
  assert.equal(chooseChallenge([unknown, parameters(challenges[1] as string)], ACCOUNT)?.algorithm, "MD5");
});

test("who knows the password is let in, by either hash; who does not, or is nobody, is not", () => {
  const { server, ha1, ports } = world();
  for (const [at, algorithm] of (["SHA-256", "MD5"] as const).entries()) {
    const challenge = chooseChallenge([parameters(server.challenges(PHONE, false)[at] as string)], ACCOUNT);
    assert.ok(challenge);
    const request = { method: "REGISTER", uri: "sip:sip.example.org", count: 1 };
    const claim = claimOf(server, parameters(formatAuthorization(ports, ACCOUNT, challenge, request)));
    assert.equal(claim.algorithm, algorithm);
    assert.equal(server.verify(claim, "INVITE", ha1(algorithm)), "wrong", "another method");
    assert.equal(server.verify({ ...claim, uri: "sip:elsewhere" }, "REGISTER", ha1(algorithm)), "wrong");
    const other = ha1(algorithm);
    other[0] = (other[0] as number) ^ 1;
    assert.equal(server.verify(claim, "REGISTER", other), "wrong");
    assert.equal(server.verify(claim, "REGISTER", undefined), "wrong");
    assert.equal(server.verify(claim, "REGISTER", ha1(algorithm)), "right");
  }
});

test("nobody is let in by the key that stands for no user", () => {
  const { server, ports } = world();
  const challenge = chooseChallenge([parameters(server.challenges(PHONE, false)[1] as string)], ACCOUNT);
  assert.ok(challenge);
  const inputs = { method: "INVITE", uri: "sip:x", nonce: challenge.nonce, nonceCount: "00000001", cnonce: "c" };
  const response = digestResponse(ports.crypto, "MD5", new Uint8Array(16), inputs);
  const given = `Digest username="nobody", realm="${ACCOUNT.realm}", nonce="${challenge.nonce}", uri="sip:x", qop=auth, nc=00000001, cnonce="c", response="${response}"`;
  assert.equal(server.verify(claimOf(server, parameters(given)), "INVITE", undefined), "wrong");
});

test("RFC 7616 §3.4.5: what was overheard is not accepted again, and counts may overtake each other", () => {
  const { server, ha1, ports } = world();
  const challenge = chooseChallenge(server.challenges(PHONE, false).map(parameters), ACCOUNT);
  assert.ok(challenge);
  const attempt = (count: number) => {
    const request = { method: "INVITE", uri: "sip:bob@x", count };
    const claim = claimOf(server, parameters(formatAuthorization(ports, ACCOUNT, challenge, request)));
    return server.verify(claim, "INVITE", ha1("SHA-256"));
  };
  const outcomes = [1, 1, 3, 2, 2, 3, 40, 8, 9, 9, 72, 40, 41, 72].map(attempt);
  const [right, replayed] = ["right", "replayed"] as const;
  assert.deepEqual(outcomes, [
    ...[right, replayed, right, right, replayed, replayed, right],
    ...[replayed, right, replayed, right, replayed, right, replayed],
  ]);
});

test("a nonce is good where it was given, until it is old, and after a restart with the same key", () => {
  const { server, config, ports, answer, pass } = world();
  const given = answer();
  assert.equal(server.examine([given], ELSEWHERE), "stale");
  assert.ok(typeof server.examine([given], { ...PHONE, port: 1024 }) === "object", "a NAT's port may change");
  assert.ok(typeof new DigestServer(config, ports).examine([given], PHONE) === "object");
  assert.equal(
    new DigestServer({ ...config, nonceKeys: [new Uint8Array(32)] }, ports).examine([given], PHONE),
    "stale",
  );
  pass(301);
  assert.equal(server.examine([given], PHONE), "stale");
});

test("a nonce with one character changed is not ours", () => {
  const { server, answer } = world();
  const given = answer();
  const nonce = given.get("nonce") as string;
  for (let i = 0; i < nonce.length; i++) {
    const changed = nonce.slice(0, i) + (nonce[i] === "A" ? "B" : "A") + nonce.slice(i + 1);
    assert.equal(server.examine([new Map(given).set("nonce", changed)], PHONE), "stale");
  }
});

test("what cannot be judged is told apart", () => {
  const { server, answer } = world();
  const given = answer();
  const without = (name: string) => new Map([...given].filter(([key]) => key !== name));
  assert.equal(server.examine([], PHONE), "absent");
  assert.equal(server.examine([new Map(given).set("realm", "other")], PHONE), "absent");
  for (const name of ["username", "nonce", "uri", "response", "cnonce", "nc", "qop"]) {
    assert.equal(server.examine([without(name)], PHONE), "malformed", name);
  }
  for (const nc of ["1", "0000000g", "000000001"]) {
    assert.equal(server.examine([new Map(given).set("nc", nc)], PHONE), "malformed", nc);
  }
  assert.equal(server.examine([new Map(given).set("qop", "auth-int")], PHONE), "malformed");
  assert.equal(server.examine([new Map(given).set("algorithm", "SHA-512-256")], PHONE), "malformed");
});

test("a challenge for another realm, or without quality of protection, is not answered", () => {
  const [first] = world().server.challenges(PHONE, false);
  const challenge = parameters(first as string);
  assert.equal(chooseChallenge([new Map(challenge).set("realm", "evil.example")], ACCOUNT), undefined);
  assert.equal(chooseChallenge([new Map([...challenge].filter(([key]) => key !== "qop"))], ACCOUNT), undefined);
  assert.ok(chooseChallenge([new Map(challenge).set("qop", "auth-int, auth")], ACCOUNT));
});

test("a stale challenge says so, and nothing that was given by a phone shows in it", () => {
  const { server } = world();
  const [stale] = server.challenges(PHONE, true).map(parameters);
  assert.equal(stale && chooseChallenge([stale], ACCOUNT)?.isStale, true);
});

test("counts of old nonces are forgotten, and those forgotten for want of room are refused", () => {
  const at = (seconds: number) => seconds as UnixSeconds;
  const counts = new NonceCounts(300, 4, at(0));
  for (const [nonce, issued] of Object.entries({ a: 10, b: 11, c: 12, d: 13 }))
    assert.ok(counts.use(nonce, at(issued), 1, at(20)));
  for (const nonce of ["a", "b", "c", "d"])
    assert.equal(counts.use(nonce, at(13), 1, at(20)), false, "all that there is room for is remembered");
  assert.ok(counts.use("e", at(14), 1, at(20)));
  assert.equal(counts.size, 3);
  for (const nonce of ["a", "b"])
    assert.equal(counts.use(nonce, at(11), 1, at(20)), false, "cannot be told from a repetition");
  assert.ok(counts.use("d", at(13), 2, at(20)), "half are remembered in any case");
  assert.ok(counts.use("f", at(400), 1, at(400)));
  assert.ok(counts.use("g", at(701), 1, at(701)));
  assert.equal(counts.size, 2, "what is too old to come again");
  assert.ok(counts.use("h", at(450), 1, at(702)), "and costs nobody else a second challenge");
});

test("what was overheard before a restart is not taken after it, and who asks anew is let in at once", () => {
  const { config, ports, server, ha1, answer, pass } = world();
  const given = answer();
  const claim = claimOf(server, given);
  assert.equal(server.verify(claim, "INVITE", ha1(claim.algorithm)), "right");
  pass(1);
  const next = new DigestServer(config, ports);
  assert.equal(next.verify(claimOf(next, given), "INVITE", ha1(claim.algorithm)), "replayed");
  const fresh = claimOf(next, answer());
  assert.equal(next.verify(fresh, "INVITE", ha1(fresh.algorithm)), "right");
  pass(-3_600);
  const earlier = claimOf(next, answer());
  assert.equal(next.verify(earlier, "INVITE", ha1(earlier.algorithm)), "right", "the clock was wrong before");
});
