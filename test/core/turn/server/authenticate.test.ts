import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeUtf8 } from "../../../../src/core/base/utf8.ts";
import { Attribute, MessageClass, Method } from "../../../../src/core/stun/registry.ts";
import { securityFeatures } from "../../../../src/core/stun/security-features.ts";
import { messageId, StunWriter } from "../../../../src/core/stun/writer.ts";
import { address, baseConfig, Client, PEER, SECRET, World } from "./world.ts";

const udp = (w: StunWriter) => w.u32(Attribute.RequestedTransport, 17 << 24);

test("RFC 8489 §9.2.4: a request without integrity gets 401 with realm, nonce and algorithms, and no integrity", () => {
  const answer = new Client(new World()).challenge();
  assert.equal(answer.view.text(Attribute.Realm, 763), "example.org");
  assert.deepEqual([...(answer.view.bytes(Attribute.PasswordAlgorithms) ?? [])], [0, 2, 0, 0, 0, 1, 0, 0]);
  assert.equal(securityFeatures(answer.view.text(Attribute.Nonce, 763) ?? ""), 1, "password algorithms are offered");
  for (const type of [Attribute.MessageIntegrity, Attribute.MessageIntegritySha256, Attribute.Software]) {
    assert.equal(answer.view.has(type), false);
  }
});

test("a request shorter than an Allocate with its transport gets no challenge", () => {
  const world = new World();
  const client = new Client(world);
  for (const method of [Method.Allocate, Method.Refresh, Method.CreatePermission, Method.ChannelBind]) {
    assert.deepEqual(client.raw(client.plain(method)), []);
  }
  assert.equal(world.server.stats.drops["would-amplify"], 4);
});

test("look-ups that are never answered give up their places", () => {
  const world = new World();
  world.answerLookups = false;
  const ask = (at: string) => {
    const client = new Client(world, at);
    client.raw(client.sealed(Method.Allocate, udp));
  };
  for (let port = 1; port <= 1100; port++) ask(`6.7.8.${port % 4}:${port}`);
  assert.equal(world.lookups.length, 1024);
  world.advance(41);
  ask("5.6.7.8:1");
  assert.equal(world.lookups.length, 1025);
});

test("RFC 8489 §9.2.4: USERNAME, REALM and NONCE belong to the integrity: 400 where one is missing", () => {
  const world = new World();
  const client = new Client(world);
  client.challenge();
  const parts: Record<string, (w: StunWriter) => unknown> = {
    username: (w) => w.text(Attribute.Username, "alice"),
    realm: (w) => w.text(Attribute.Realm, "example.org"),
    nonce: (w) => w.text(Attribute.Nonce, client.nonce as string),
  };
  for (const missing of Object.keys(parts)) {
    const writer = udp(new StunWriter().begin(Method.Allocate, MessageClass.Request, messageId(new Uint8Array(12))));
    for (const [name, part] of Object.entries(parts)) if (name !== missing) part(writer);
    const [answer] = client.raw(client.seal(writer).finish());
    assert.equal(answer?.code, 400, `without ${missing}`);
  }
});

test("RFC 8489 §9.2.4: a wrong password, an unknown user and another realm are 401", () => {
  const world = new World();
  assert.equal(new Client(world, "5.6.7.8:1", { password: "x" }).allocate().code, 401);
  assert.equal(new Client(world, "5.6.7.8:2", { username: "nobody" }).allocate().code, 401);
  const abroad = new Client(world, "5.6.7.8:3");
  abroad.realm = "example.com";
  assert.equal(abroad.allocate().code, 401);
  assert.equal(world.server.stats.allocations, 0);
});

test("RFC 8489 §9.2.4: a nonce that is stale, another client's or not ours is 438 with a fresh one", () => {
  const world = new World();
  const client = new Client(world);
  client.allocated();
  world.advance(500);
  client.refresh();
  world.advance(550);
  client.refresh();
  world.advance(600 - 1);
  client.refresh(3600);
  world.advance(2000);
  const stale = client.refresh();
  assert.equal(stale.code, 438);
  client.nonce = stale.view.text(Attribute.Nonce, 763);
  assert.ok(client.refresh().ok);
  const other = new Client(world, "5.6.7.8:1001");
  other.nonce = client.nonce as string;
  assert.equal(other.allocate().code, 438, "the nonce is bound to the client's address and port");
  for (const nonce of ["", "x", `${client.nonce}x`, client.nonce?.replace(/.$/, (c) => (c === "A" ? "Q" : "A"))]) {
    other.nonce = nonce as string;
    assert.equal(other.allocate().code, 438);
  }
});

test("a nonce made with the former key is good while both keys are configured", () => {
  const [first, second] = [encodeUtf8("first key, 16 byt"), encodeUtf8("second key, 16 by")];
  const before = new World({ nonceKeys: [first] });
  const client = new Client(before);
  client.challenge();
  const during = new Client(new World({ nonceKeys: [second, first] }));
  during.nonce = client.nonce;
  assert.ok(during.allocate().ok);
  const later = new Client(new World({ nonceKeys: [second] }));
  later.nonce = client.nonce;
  assert.equal(later.allocate().code, 438);
});

test("RFC 8489 §9.2.4: keys by MD5 and by SHA-256, with either integrity", () => {
  const world = new World();
  let port = 1;
  for (const algorithm of ["none", "md5", "sha256"] as const) {
    for (const hash of ["sha1", "sha256"] as const) {
      const client = new Client(world, `5.6.7.8:${port++}`, { algorithm, hash });
      assert.ok(client.allocate().ok, `${algorithm} key, ${hash} integrity`);
      assert.ok(client.permit(PEER).ok);
    }
  }
});

test("RFC 8489 §9.2.4: a downgrade on the way is detected", () => {
  const world = new World();
  const client = new Client(world, "5.6.7.8:1", { algorithm: "md5" });
  client.challenge();
  const build = (w: StunWriter, algorithms?: readonly number[], algorithm?: readonly number[]) => {
    udp(w).text(Attribute.Username, "alice").text(Attribute.Realm, "example.org");
    w.text(Attribute.Nonce, client.nonce as string);
    if (algorithms !== undefined) w.bytes(Attribute.PasswordAlgorithms, Uint8Array.from(algorithms));
    if (algorithm !== undefined) w.bytes(Attribute.PasswordAlgorithm, Uint8Array.from(algorithm));
    return client.raw(client.seal(w).finish())[0]?.code;
  };
  const begin = () => new StunWriter().begin(Method.Allocate, MessageClass.Request, messageId(new Uint8Array(12)));
  assert.equal(build(begin(), [0, 1, 0, 0], [0, 1, 0, 0]), 400, "SHA-256 was removed from the offer");
  assert.equal(build(begin(), [0, 2, 0, 0, 0, 1, 0, 0]), 400, "the offer without the choice");
  assert.equal(build(begin(), undefined, [0, 1, 0, 0]), 400, "the choice without the offer");
  assert.equal(build(begin(), [0, 2, 0, 0, 0, 1, 0, 0], [0, 3, 0, 0]), 400, "an algorithm that was not offered");
  // The feature bits in the nonce's cookie were cleared: the nonce's HMAC covers them.
  client.nonce = client.nonce?.replace("obMatJos2AAAB", "obMatJos2AAAA");
  assert.equal(client.allocate().code, 438);
});

test("TURN accepts a MESSAGE-INTEGRITY-SHA256 of 32 bytes only", () => {
  const client = new Client(new World(), "5.6.7.8:1", { algorithm: "sha256" });
  client.shaLength = 16;
  assert.equal(client.allocate().code, 401);
});

test("RFC 8489 §9.2: USERHASH names a user where anonymity is offered", () => {
  const world = new World({ usernameAnonymity: true });
  const client = new Client(world, "5.6.7.8:1", { algorithm: "sha256", hideName: true });
  const challenge = client.challenge();
  assert.equal(securityFeatures(challenge.view.text(Attribute.Nonce, 763) ?? ""), 3);
  assert.ok(client.allocate().ok);
  assert.ok(client.permit(PEER).ok);
  const stranger = new Client(world, "5.6.7.8:2", { username: "nobody", hideName: true });
  assert.equal(stranger.allocate().code, 401);
});

test("RFC 8656 §5: another user's request on an allocation is 441", () => {
  const world = new World();
  world.users.set("carol", "c");
  const client = new Client(world);
  client.allocated();
  const carol = new Client(world, "5.6.7.8:1000", { username: "carol", password: "c" });
  assert.equal(carol.refresh(0).code, 441);
  assert.equal(carol.allocate().code, 441);
  assert.equal(world.server.stats.allocations, 1);
});

test("RFC 8489 §6.3.1: unknown comprehension-required attributes are 420 once the sender is known", () => {
  const client = new Client(new World());
  const answer = client.allocate((w) => w.u32(0x7001, 0).u32(0xc001, 0).u32(0x7002, 0));
  assert.equal(answer.code, 420);
  assert.deepEqual([...(answer.view.bytes(Attribute.UnknownAttributes) ?? [])], [0x70, 0x01, 0x70, 0x02]);
});

test("RFC 8656 §5: requests without an allocation are 437", () => {
  const client = new Client(new World());
  assert.equal(client.refresh().code, 437);
  assert.equal(client.permit(PEER).code, 437);
  assert.equal(client.bind(0x4000, `${PEER}:1`).code, 437);
});

test("a look-up is asked for only behind a valid nonce, answered late or never, and bounded", () => {
  const world = new World();
  world.answerLookups = false;
  const client = new Client(world);
  const request = client.sealed(Method.Allocate, udp);
  assert.deepEqual(client.raw(request), []);
  assert.equal(world.lookups.length, 1);
  const stranger = new Client(world, "5.6.7.8:9");
  stranger.nonce = client.nonce as string;
  stranger.allocate();
  assert.equal(world.lookups.length, 1, "no look-up for an unproven address");
  world.server.handleKey(world.lookups[0]?.query as never, world.keysOf("alice"), world.now);
  world.drain();
  assert.equal(world.server.stats.allocations, 1);
  world.server.handleKey(world.lookups[0]?.query as never, world.keysOf("alice"), world.now);
  assert.equal(world.server.pollOutput(), undefined, "an answer counts once");
  for (let port = 1; port < 1200; port++) {
    const one = new Client(world, `6.7.8.9:${port}`);
    one.raw(one.sealed(Method.Allocate, udp));
  }
  assert.ok(world.lookups.length <= 1025);
  assert.ok(world.server.stats.drops["lookup-overload"] > 0);
});

test("time-limited names go by the secret, whatever their form", () => {
  const world = new World({ sharedSecrets: [SECRET], users: false });
  assert.ok(Client.timeLimited(world, "5.6.7.8:1", world.unix + 60).allocate().ok);
  const plain = new Client(world, "5.6.7.8:2", { username: "alice" });
  assert.equal(plain.allocate().code, 401, "without users nobody else is let in");
  assert.equal(world.lookups.length, 0);
});

test("answers to whoever has proven nothing are limited for each source, and requests behind a nonce apart", () => {
  const world = new World({ budgets: { unauthenticatedPerSecond: 5, requestsPerSecond: 5 } });
  const client = new Client(world);
  client.challenge();
  const binding = client.plain(Method.Binding);
  let answered = 0;
  for (let i = 0; i < 50; i++) answered += client.raw(binding).length;
  assert.equal(answered, 9, "a burst of twice the rate");
  assert.ok(client.allocate().ok, "a known client is not locked out by a flood in its name");
  assert.equal(new Client(world, "5.6.7.9:1").raw(binding).length, 1, "other sources are not touched");
  world.advance(1);
  for (let i = 0; i < 50; i++) answered += client.raw(binding).length;
  assert.equal(answered, 14);
  let refreshed = 0;
  for (let i = 0; i < 50; i++) refreshed += client.raw(client.sealed(Method.Refresh)).length;
  assert.ok(refreshed <= 10);
  assert.ok(world.server.stats.drops["over-budget"] > 0);
});

test("the sources of an IPv6 /56 share a budget", () => {
  const world = new World({ budgets: { unauthenticatedPerSecond: 1, requestsPerSecond: 5 } });
  const ask = (at: string) => {
    const client = new Client(world, at);
    return client.raw(client.plain(Method.Binding)).length;
  };
  assert.equal(ask("[2a00:1:2:300::1]:1") + ask("[2a00:1:2:3ff::9]:1") + ask("[2a00:1:2:301::1]:7"), 2);
  assert.equal(ask("[2a00:1:2:400::1]:1"), 1);
});

test("SOFTWARE goes to known clients only, and FINGERPRINT to those who sent one", () => {
  const world = new World({ software: "postern" });
  const client = new Client(world);
  assert.equal(client.challenge().view.has(Attribute.Software), false);
  const answer = client.allocate();
  assert.equal(answer.view.text(Attribute.Software, 763), "postern");
  assert.equal(answer.view.has(Attribute.Fingerprint), false);
  const nonce = client.nonce as string;
  const writer = new StunWriter().begin(Method.Refresh, MessageClass.Request, messageId(new Uint8Array(12)));
  writer.text(Attribute.Username, "alice").text(Attribute.Realm, "example.org").text(Attribute.Nonce, nonce);
  const [marked] = client.raw(client.seal(writer).fingerprint().finish());
  assert.ok(marked?.view.has(Attribute.Fingerprint));
});

test("what is no request of ours is dropped in silence", () => {
  const world = new World();
  const client = new Client(world);
  assert.deepEqual(client.raw(client.plain(0x00a)), [], "Connect is not served");
  assert.deepEqual(client.raw(client.plain(Method.Allocate, undefined, MessageClass.Success)), []);
  assert.deepEqual(client.raw(client.plain(Method.Binding, undefined, MessageClass.Indication)), []);
  assert.deepEqual(client.raw(Uint8Array.of(0x80, 0, 0)), []);
  const classic = client.plain(Method.Allocate);
  classic[4] = 0;
  assert.deepEqual(client.raw(classic), []);
  assert.equal(client.media(new Uint8Array(0)), undefined);
  assert.equal(world.server.stats.drops.unexpected, 3);
  assert.equal(world.server.stats.drops.malformed, 2);
  assert.equal(baseConfig.realm, "example.org");
});

test("RFC 8489 §6, §12: Binding is answered from the packet alone, modern and classic", () => {
  const world = new World();
  const client = new Client(world, "[2a00::1]:77");
  const [modern] = client.raw(client.plain(Method.Binding, (w) => w.text(Attribute.Software, "x").fingerprint()));
  assert.deepEqual(
    modern?.addresses(Attribute.XorMappedAddress).map((a) => a.port),
    [77],
  );
  assert.ok(modern?.view.has(Attribute.Fingerprint));
  const request = client.plain(Method.Binding, (w) => w.u32(Attribute.ChangeRequest, 0));
  request.fill(9, 4, 8);
  const [classic] = client.raw(request);
  const at = address("0.0.0.0:0");
  assert.ok(classic?.view.addressAt(classic.view.indexOf(Attribute.MappedAddress), at));
  assert.equal(at.port, 77);
  assert.equal(classic?.view.has(Attribute.XorMappedAddress), false);
  assert.equal(world.server.stats.bindings, 2);
});

test("RFC 8489 §6.3.1: a Binding with attributes that must be understood is 420", () => {
  const client = new Client(new World());
  const [answer] = client.raw(client.plain(Method.Binding, (w) => w.u32(Attribute.ChangeRequest, 6)));
  assert.equal(answer?.code, 420);
  assert.deepEqual([...(answer?.view.bytes(Attribute.UnknownAttributes) ?? [])], [0, 3]);
  const many = client.plain(Method.Binding, (w) => {
    for (let i = 0; i < 20; i++) w.u32(0x7000 + i, 0);
  });
  assert.ok((client.raw(many)[0]?.data.length ?? 0) < 50, "the list is cut");
  const [ice] = client.raw(
    client.plain(Method.Binding, (w) => w.text(Attribute.Username, "a:b").u32(Attribute.Priority, 1)),
  );
  assert.ok(ice?.ok);
});
