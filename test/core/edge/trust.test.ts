/** What a dialog's token, a trunk's address and a user's password are good for, and what they are not. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Prefix, parsePrefix } from "../../../src/core/base/prefix.ts";
import type { Trunk } from "../../../src/core/edge/config.ts";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import type { SipResponse } from "../../../src/core/sip/message/message.ts";
import { at, DOMAIN, Phone, sdpOf, World } from "./world.ts";

function trunkNamed(name: string, address: string): Trunk {
  return {
    name,
    sources: [parsePrefix(`${address}/32`) as Prefix],
    media: [],
    target: { transport: "udp", address: at(address, 5060) },
    host: `sip.${name}.example`,
    prefixes: ["0"],
    users: new Set(["alice"]),
  };
}

interface Scene {
  readonly world: World;
  readonly alice: Phone;
  readonly bob: Phone;
  readonly provider: Phone;
  readonly other: Phone;
}

function scene(): Scene {
  const world = new World({ trunks: [trunkNamed("provider", "198.18.0.5"), trunkNamed("other", "198.18.0.6")] });
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  for (const phone of [alice, bob]) assert.equal(phone.register().status, 200);
  const gateway = (name: string, outside: string) => new Phone(world, name, { outside, port: 5060, inside: outside });
  return { world, alice, bob, provider: gateway("gateway", "198.18.0.5"), other: gateway("gateway", "198.18.0.6") };
}

function talk(caller: Phone, callee: Phone, to = callee.user): SipResponse {
  caller.ask(caller.invitation(to));
  callee.answer(200);
  caller.send(caller.within(caller.response, "ACK"));
  return caller.response;
}

suite("a dialog's token", () => {
  test("RFC 3261 §12.2: is good within the dialog alone, so that who was called through a trunk cannot dial there", () => {
    const { world, provider, bob } = scene();
    talk(provider, bob);
    const before = provider.requests.length;
    const fraud = bob.within(bob.request("INVITE"), "INVITE", { body: bob.sdp() });
    fraud.headers.set("To", "<sip:0900123@sip.provider.example>");
    fraud.replaceUri("sip:0900123@sip.provider.example");
    bob.send(fraud);
    assert.equal(provider.requests.length, before);
    assert.equal(world.edge.stats.refused.foreign, 1);
  });

  test("is not looked for in more Routes than a way through us has, whoever sends them", () => {
    const { world, alice, bob } = scene();
    const answer = talk(alice, bob);
    const bye = alice.within(answer, "BYE");
    const [route = ""] = bye.headers.values("route");
    for (let i = 0; i < 20; i++) bye.prependRoute(`<sip:${DOMAIN};lr>`);
    assert.ok(route.includes(";lr"));
    const before = bob.requests.length;
    alice.send(bye);
    assert.equal(bob.requests.length, before);
    assert.equal(world.edge.stats.refused.foreign, 1);
  });

  test("with the answer to our challenge, which phones put into BYE and ACK too, stays between the phone and us", () => {
    const { alice, bob } = scene();
    const invite = alice.invitation("bob");
    alice.send(invite);
    const secret = alice.authorize(invite);
    alice.ask(alice.invitation("bob"));
    bob.answer(200);
    for (const method of ["ACK", "BYE"]) {
      const request = alice.within(alice.response, method);
      request.headers.set("Proxy-Authorization", secret);
      request.headers.append("Proxy-Authorization", 'Digest realm="elsewhere", nonce="1"');
      request.headers.append("P-Asserted-Identity", "<sip:carol@example.org>");
      alice.send(request);
      assert.deepEqual(bob.request(method).headers.values("proxy-authorization"), [
        'Digest realm="elsewhere", nonce="1"',
      ]);
      assert.equal(bob.request(method).header("p-asserted-identity"), undefined, method);
    }
  });

  test("overheard, does not move anybody's media by an ACK", () => {
    const { world, alice, bob } = scene();
    const answer = talk(alice, bob);
    alice.speak(sdpOf(answer));
    const mallory = new Phone(world, "carol", { outside: "198.51.100.66", inside: "198.51.100.66" });
    const ack = alice.within(answer, "ACK", { body: mallory.sdp() });
    const before = bob.requests.length;
    mallory.send(ack);
    assert.equal(bob.requests.length, before);
    assert.equal(mallory.speak(sdpOf(answer)), undefined);
  });

  test("is no use to a trunk that is no side of the dialog", () => {
    const { world, alice, bob, other } = scene();
    const answer = talk(alice, bob);
    const bye = alice.within(answer, "BYE");
    other.send(bye);
    assert.equal(world.edge.calls().length, 1);
    assert.ok(bob.requests.every(({ method }) => method !== "BYE"));
  });
});

suite("a number", () => {
  test("goes through the trunk as it was written, so that what an escape hides stays hidden", () => {
    const { alice, provider } = scene();
    alice.ask(alice.invitation("0%3E12%23"));
    assert.equal(provider.request("INVITE").uriText, "sip:0%3E12%23@sip.provider.example");
  });
});

suite("a password", () => {
  test("RFC 7616 §3.4.6: is good for the address that it was given for", () => {
    const { alice, bob } = scene();
    const invite = alice.invitation("carol");
    alice.send(invite);
    const proof = alice.authorize(invite);
    const changed = alice.invitation("bob");
    changed.headers.set("Proxy-Authorization", proof);
    alice.send(changed);
    assert.equal(alice.response.status, 400);
    assert.ok(bob.requests.every(({ method }) => method !== "INVITE"));
  });

  test("that is looked up twice, because the request came twice, asks nobody for another", () => {
    const { world, alice, bob } = scene();
    const invite = alice.invitation("bob");
    alice.send(invite);
    const again = alice.invitation("bob");
    again.headers.set("Proxy-Authorization", alice.authorize(again));
    const got = alice.responses.length;
    for (let i = 0; i < 2; i++) world.edge.handleText(again.format(), alice.flow, world.now);
    world.settle();
    assert.deepEqual(
      alice.responses.slice(got).map(({ status }) => status),
      [100, 100],
    );
    bob.send(createResponse(bob.request("INVITE"), 486, { toTag: "b" }));
    assert.equal(alice.response.status, 486);
  });
});

test("a trunk's address, which one datagram forges, has no phone of ours dial: REFER is for who is in a call with it", () => {
  const { alice, provider } = scene();
  const before = alice.requests.length;
  const refer = provider.build("REFER", `sip:alice@${DOMAIN}`, [
    ["From", "<sip:+4912@provider.example>;tag=p"],
    ["To", `<sip:alice@${DOMAIN}>`],
    ["Call-ID", "refer"],
    ["CSeq", "1 REFER"],
    ["Contact", `<${provider.contact}>`],
    ["Refer-To", "<sip:0900123@example.org>"],
  ]);
  provider.send(refer);
  assert.deepEqual([provider.response.status, alice.requests.length], [403, before]);
  talk(provider, alice);
  provider.send(provider.within(provider.response, "REFER"));
  assert.equal(alice.request("REFER").method, "REFER");
});
