import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "../../../../src/core/base/address.ts";
import { PosternError } from "../../../../src/core/base/failure.ts";
import { Attribute, MessageClass, Method } from "../../../../src/core/stun/registry.ts";
import { StunView } from "../../../../src/core/stun/view.ts";
import type { StunWriter } from "../../../../src/core/stun/writer.ts";
import { TurnClient } from "../../../../src/core/turn/client/turn-client.ts";
import { address, World } from "../server/world.ts";
import { clientConfig, Pair } from "./pair.ts";
import { NEGOTIATING, Script } from "./script.ts";

const relayedOf = (pair: Pair): string[] => pair.allocated().relayed.map(formatAddress);

test("RFC 8656 §7.1: a challenge is answered, and the allocation told with its addresses and lifetime", () => {
  const pair = new Pair();
  const { relayed, mapped, lifetime, server } = pair.allocated();
  assert.equal(relayed.length, 1);
  assert.match(formatAddress(relayed[0] as never), /^9\.9\.9\.1:50\d\d\d$/);
  assert.equal(formatAddress(mapped), formatAddress(pair.remote));
  assert.equal(lifetime, 600);
  assert.equal(formatAddress(server), "9.9.9.1:3478");
  assert.equal(pair.world.server.stats.allocations, 1);
  assert.ok(pair.client.isLive);
});

test("RFC 8489 §9.2.5: SHA-256 is chosen from PASSWORD-ALGORITHMS, and MD5 where none are offered", () => {
  const modern = Script.allocated({}, NEGOTIATING).request;
  assert.deepEqual([...(modern.bytes(Attribute.PasswordAlgorithm) ?? [])], [0, 2, 0, 0]);
  assert.deepEqual([...(modern.bytes(Attribute.PasswordAlgorithms) ?? [])], [0, 2, 0, 0, 0, 1, 0, 0]);
  assert.ok(modern.has(Attribute.MessageIntegritySha256) && !modern.has(Attribute.MessageIntegrity));
  const classic = Script.allocated().request;
  assert.ok(classic.has(Attribute.MessageIntegrity) && !classic.has(Attribute.PasswordAlgorithm));
});

test("RFC 8489 §9.2.5: of several algorithms the first known one is taken; none known is the end", () => {
  for (const [list, chosen] of [
    [[0, 9, 0, 3, 1, 2, 3, 0, 0, 1, 0, 0, 0, 2, 0, 0], 1],
    [[0, 7, 0, 0], undefined],
  ] as const) {
    const script = new Script({}, NEGOTIATING);
    script.refuse(401, (w) => {
      w.text(Attribute.Realm, "r").text(Attribute.Nonce, NEGOTIATING);
      w.bytes(Attribute.PasswordAlgorithms, Uint8Array.from(list));
    });
    assert.equal(script.request.bytes(Attribute.PasswordAlgorithm)?.[1], chosen);
    assert.deepEqual(script.reasons, chosen === undefined ? ["ended no-common-algorithm"] : []);
  }
});

test("RFC 8489 §9.2.5: a nonce that promises algorithms which are not there is ignored, and at last called bid-down", () => {
  const stripped = (script: Script): void =>
    script.refuse(401, (w) => w.text(Attribute.Realm, "r").text(Attribute.Nonce, NEGOTIATING));
  const udp = new Script();
  stripped(udp);
  assert.deepEqual([udp.sends, udp.reasons], [1, []], "as if never received");
  udp.pass(39.5);
  assert.deepEqual(udp.reasons, ["ended bid-down"]);
  const tcp = new Script({ transport: "tcp" });
  stripped(tcp);
  assert.deepEqual(tcp.reasons, ["ended bid-down"]);
});

test("RFC 8489 §9.2.3: where the nonce offers it, USERHASH hides the name", () => {
  const pair = new Pair({}, { usernameAnonymity: true });
  pair.allocated();
  const view = new StunView();
  assert.equal(view.decode(pair.sent[1] as Uint8Array), undefined);
  assert.ok(view.has(Attribute.Userhash) && !view.has(Attribute.Username));
});

test("RFC 8489 §9.2.5: an answer that is not sealed with the key is as if never received", () => {
  for (const password of [undefined, "looking glass"]) {
    const script = new Script();
    script.challenge();
    const forged = (w: { u32(type: number, value: number): unknown }): unknown => w.u32(Attribute.Lifetime, 600);
    script.answer(MessageClass.Success, forged, password);
    script.refuse(508, () => {}, password);
    assert.deepEqual(script.reasons, []);
    script.grant();
    assert.ok(script.client.isLive, "the true answer comes later and counts");
    const silent = new Script();
    silent.challenge();
    silent.answer(MessageClass.Success, forged, password);
    silent.pass(40);
    assert.deepEqual(silent.reasons, ["ended integrity-violated"]);
  }
});

test("RFC 8656 §7.4: each refusal of an Allocate has a reason and a sentence", () => {
  for (const [code, reason] of [
    [400, "bad-request"],
    [403, "forbidden"],
    [420, "unknown-attribute"],
    [440, "family-not-supported"],
    [441, "wrong-credentials"],
    [442, "transport-not-supported"],
    [486, "quota-reached"],
    [500, "server-error"],
    [508, "insufficient-capacity"],
    [599, "refused"],
  ] as const) {
    const script = new Script();
    script.challenge();
    script.refuse(code, () => {}, "wonderland");
    assert.deepEqual(script.reasons, [`ended ${reason}`]);
    const ended = script.told.at(-1);
    assert.ok(ended?.kind === "event" && ended.event.type === "ended");
    assert.equal(ended.event.failure.code, code);
    assert.match(ended.event.failure.why, /^[A-Z].*\.$/);
    assert.equal(script.client.pollTimeout(), undefined, "nothing is left to wait for");
  }
});

test("wrong credentials are refused with 401, and not tried for ever", () => {
  const pair = new Pair({ password: "looking glass" });
  pair.client.open(pair.now);
  pair.run(1);
  assert.deepEqual(pair.losses, ["ended unauthenticated"]);
  assert.equal(pair.sent.length, 2);
});

test("RFC 8489 §9.2.5: a 401 for another realm is another challenge", () => {
  const script = new Script();
  script.challenge(401, "first");
  script.challenge(401, "second");
  assert.equal(script.request.text(Attribute.Realm, 99), "second");
  script.challenge(401, "second");
  assert.deepEqual(script.reasons, ["ended unauthenticated"]);
});

test("RFC 8489 §9.2.5: a 438 is answered with the new nonce; nonces that are stale at once end it", () => {
  const script = new Script();
  script.challenge();
  for (let i = 0; i < 2; i++) script.challenge(438);
  assert.deepEqual(script.reasons, []);
  script.challenge(438);
  assert.deepEqual(script.reasons, ["ended stale-nonce"]);
});

test("RFC 8656 §7.4: after a 437 another local port is tried, three times", () => {
  const script = new Script();
  for (let i = 0; i < 4; i++) {
    script.challenge();
    script.refuse(437, () => {}, "wonderland");
    script.client.handleConnected(script.now);
    script.drain();
  }
  assert.equal(script.connects.length, 4);
  assert.deepEqual(script.reasons, ["ended allocation-mismatch"]);
  const pair = new Pair();
  const { port } = pair.allocated().mapped;
  const next = new Pair({}, {}, { seed: 2 });
  next.world = pair.world;
  assert.equal(next.allocated().mapped.port, port + 1, "the first port belongs to an earlier self");
});

test("RFC 8489 §10: a 300 leads to the alternate server, and redirections in a circle end", () => {
  const redirect = (script: Script, to: string): void => {
    script.challenge();
    script.refuse(300, (w) => w.address(Attribute.AlternateServer, address(to)), "wonderland");
    script.client.handleConnected(script.now);
    script.drain();
  };
  const script = new Script();
  redirect(script, "9.9.9.2:3478");
  assert.deepEqual(
    script.connects.map((c) => c.split(":")[1]),
    ["3478", "3478"],
  );
  assert.ok(!script.request.has(Attribute.Nonce), "the alternate server challenges anew");
  script.challenge();
  script.grant();
  const told = script.told.at(-1);
  assert.ok(told?.kind === "event" && told.event.type === "allocated");
  assert.equal(formatAddress(told.event.allocated.server), "9.9.9.2:3478");
  const circle = new Script();
  redirect(circle, "9.9.9.2:3478");
  redirect(circle, "9.9.9.1:3478");
  assert.deepEqual(circle.reasons, ["ended try-alternate"]);
  for (const bad of ["[2001:db8::1]:3478", "9.9.9.2:0"]) {
    const other = new Script();
    redirect(other, bad);
    assert.deepEqual(other.reasons, ["ended try-alternate"]);
  }
});

test("RFC 8489 §10, §14.16: ALTERNATE-DOMAIN is whose certificate the alternate server has; what is no name leads nowhere", () => {
  const redirect = (script: Script, to: string, domain?: string): void => {
    script.refuse(300, (w) => {
      w.address(Attribute.AlternateServer, address(to));
      if (domain !== undefined) w.text(Attribute.AlternateDomain, domain);
    });
    script.client.handleConnected(script.now);
    script.drain();
  };
  const domains = (script: Script) => script.told.flatMap((o) => (o.kind === "connect" ? [o.domain] : []));
  const script = new Script({ transport: "tls" });
  redirect(script, "9.9.9.2:5349", "two.example");
  redirect(script, "9.9.9.3:5349");
  assert.deepEqual(domains(script), [undefined, "two.example", "two.example"], "without one it is as it was");
  script.challenge();
  script.refuse(437, () => {}, "wonderland");
  assert.deepEqual(domains(script).slice(3), ["two.example"], "it is the same server");
  for (const bad of ["", "two example", "-", "two.example/", `${"a".repeat(250)}.example`]) {
    const other = new Script({ transport: "tls" });
    redirect(other, "9.9.9.2:5349", bad);
    assert.deepEqual(other.reasons, ["ended try-alternate"], bad);
  }
  const again = Script.allocated({ transport: "tls" });
  again.client.handleDisconnected(again.now);
  again.drain();
  again.pass(1);
  assert.deepEqual(domains(again), [undefined, undefined]);
});

test("RFC 8656 §7.1: DONT-FRAGMENT is asked for where it is wanted, and then is in every Send indication", () => {
  const script = Script.allocated({ dontFragment: true });
  assert.ok(script.request.has(Attribute.DontFragment));
  script.client.permit(address("8.8.8.8:1"), script.now);
  script.drain();
  script.answer(MessageClass.Success, () => {}, "wonderland");
  const framing = script.client.send(address("8.8.8.8:1"), new Uint8Array(3));
  assert.ok(framing?.kind === "message");
  const view = new StunView();
  assert.equal(view.decode(framing.data), undefined);
  assert.ok(view.has(Attribute.DontFragment) && view.has(Attribute.Data));
  assert.ok(!Script.allocated().request.has(Attribute.DontFragment));
  const pair = new Pair({ dontFragment: true }, { dontFragment: false });
  pair.client.open(pair.now);
  pair.run(1);
  assert.deepEqual(pair.losses, ["ended unknown-attribute"]);
});

test("RFC 8656 §7.3: an answer without its addresses or lifetime, or with what must be understood and is not, is useless", () => {
  const relayed = address("9.9.9.1:50000");
  const mapped = address("5.6.7.8:1");
  for (const build of [
    (w) => w.xorAddress(Attribute.XorMappedAddress, mapped).u32(Attribute.Lifetime, 600),
    (w) => w.xorAddress(Attribute.XorRelayedAddress, relayed).u32(Attribute.Lifetime, 600),
    (w) => w.xorAddress(Attribute.XorRelayedAddress, relayed).xorAddress(Attribute.XorMappedAddress, mapped),
    (w) =>
      w
        .xorAddress(Attribute.XorRelayedAddress, relayed)
        .xorAddress(Attribute.XorMappedAddress, mapped)
        .u32(Attribute.Lifetime, 600)
        .u32(0x7abc, 1),
  ] as ((w: StunWriter) => unknown)[]) {
    const script = new Script();
    script.challenge();
    script.answer(MessageClass.Success, build, "wonderland");
    assert.deepEqual(script.reasons, ["ended bad-response"]);
  }
});

test("an allocation that is granted for no time at all is tried again as one that ran out", () => {
  const script = Script.allocated({ transport: "tcp" });
  script.client.handleDisconnected(script.now);
  script.pass(1);
  script.client.handleConnected(script.now);
  script.drain();
  script.challenge();
  script.grant(0);
  assert.deepEqual(script.reasons, ["lost connection-lost", "lost expired"]);
});

test("RFC 8656 §7.1: IPv6, both families, and what is told when a server has only one of them", () => {
  assert.match(relayedOf(new Pair({ families: "ipv6" }))[0] as string, /^\[2a01:4f8::1\]/);
  assert.equal(relayedOf(new Pair({ families: "both" })).length, 2);
  const half = new Pair(
    { families: "both" },
    { relays: [{ bound: address("9.9.9.1:0"), advertised: address("9.9.9.1:0") }] },
  );
  const { relayed, refusedFamily } = half.allocated();
  assert.equal(relayed.length, 1);
  assert.deepEqual([refusedFamily?.family, refusedFamily?.failure.reason], [6, "family-not-supported"]);
});

test("RFC 8656 §7.1: an even port reserves the next one, which its token claims", () => {
  const first = new Pair({ port: "pair" });
  const { relayed, reservationToken } = first.allocated();
  const port = relayed[0]?.port as number;
  assert.equal(port % 2, 0);
  assert.ok(reservationToken);
  const second = new Pair({ reservationToken });
  second.remote = { ...second.remote, port: 30_000 };
  second.world = first.world;
  assert.equal(second.allocated().relayed[0]?.port, port + 1);
  assert.equal((new Pair({ port: "even" }).allocated().relayed[0]?.port as number) % 2, 0);
});

test("nobody answers: the reason is told after 39.5 s, and the request was sent seven times", () => {
  const script = new Script();
  script.pass(39.4);
  assert.deepEqual([script.sends, script.reasons], [7, []]);
  script.pass(0.2);
  assert.deepEqual(script.reasons, ["ended timed-out"]);
});

test("a path that cannot be opened, or breaks while the client allocates, ends it", () => {
  const refused = new Pair({ transport: "tcp" });
  refused.isDown = true;
  refused.client.open(refused.now);
  refused.run(1);
  assert.deepEqual(refused.losses, ["ended connect-failed"]);
  const script = new Script({ transport: "tls" });
  script.client.handleDisconnected(script.now);
  script.drain();
  assert.deepEqual(script.reasons, ["ended connection-lost"]);
});

test("user name and password are prepared, and refused when they cannot be", () => {
  const make = (username: string, password: string) => () =>
    new TurnClient({ ...clientConfig, username, password }, new World().ports);
  assert.throws(
    make("", "x"),
    (e) => e instanceof PosternError && e.code === "bad-credentials" && /user name/.test(e.message),
  );
  assert.throws(make("x", "\u0007"), (e) => e instanceof PosternError && /password/.test(e.message));
  const pair = new Pair({ username: "al\u00a0ice", password: "p" });
  pair.world.users.set("al ice", "p");
  pair.allocated();
});

test("answers to another method, or with another transaction ID, are none", () => {
  const script = new Script();
  const { request } = script;
  const wrong = request.data.slice();
  wrong[0] = 1;
  wrong[1] = 0x01;
  script.deliver(wrong);
  assert.equal(script.request.method, Method.Allocate);
  assert.equal(script.client.drops.unexpected, 1);
});
