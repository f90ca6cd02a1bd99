import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import { type Prefix, parsePrefix } from "../../../src/core/base/prefix.ts";
import { DEFAULT_RELAY_QUOTAS } from "../../../src/core/relay/config.ts";
import { createResponse, type HeaderLine } from "../../../src/core/sip/message/build.ts";
import type { SipRequest, SipResponse } from "../../../src/core/sip/message/message.ts";
import { voiceSdp } from "../relay/world.ts";
import { cancelOf } from "./ringing.ts";
import { at, EDGE, mediaOf, Phone, type PhoneOptions, RELAY, sdpOf, World } from "./world.ts";

function phones(world: World, options: Partial<PhoneOptions> = {}): readonly [Phone, Phone] {
  const alice = new Phone(world, "alice", { outside: "198.51.100.7", ...options });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5", ...options });
  for (const phone of [alice, bob]) assert.equal(phone.register().status, 200);
  return [alice, bob];
}

interface Talk {
  readonly world: World;
  readonly alice: Phone;
  readonly bob: Phone;
  /** What each has: the answer, and the INVITE. */
  readonly answer: SipResponse;
  readonly invite: SipRequest;
}

/** Two phones that have called each other: answered, acknowledged, both heard. */
function talk(options: Partial<PhoneOptions> = {}): Talk {
  const world = new World();
  const [alice, bob] = phones(world, options);
  alice.ask(alice.invitation("bob"));
  bob.answer(180);
  bob.answer(200);
  const answer = alice.response;
  alice.send(alice.within(answer, "ACK"));
  return { world, alice, bob, answer, invite: bob.request("INVITE") };
}

suite("a call between two phones behind NATs", () => {
  for (const transport of ["udp", "tcp", "tls"] as const) {
    test(`rings, is answered, and carries voice both ways, over ${transport}`, () => {
      const { world, alice, bob, answer, invite } = talk({ transport });
      assert.deepEqual(
        alice.responses.slice(2).map(({ status }) => status),
        [407, 100, 180, 200],
      );
      assert.equal(invite.uriText, bob.contact, "its Contact exactly");
      assert.equal(bob.request("ACK").uriText, bob.contact, "in the dialog too");
      assert.equal(mediaOf(sdpOf(invite)).text || formatAddress(mediaOf(sdpOf(invite))).split(":")[0], EDGE);
      assert.deepEqual(alice.speak(sdpOf(answer)), undefined, "nobody knows yet where Bob hears");
      const heard = bob.speak(sdpOf(invite));
      assert.equal(heard && formatAddress(heard.remote), "198.51.100.7:17000");
      assert.equal(heard?.from, mediaOf(sdpOf(answer)).port);
      const back = alice.speak(sdpOf(answer));
      assert.equal(back && formatAddress(back.remote), "192.0.2.9:17000");
      assert.deepEqual(world.told("call"), ["started", "ringing", "answered"]);
      assert.deepEqual(world.told("trouble"), []);
    });
  }

  for (const who of ["caller", "callee"] as const) {
    test(`ends when the ${who} hangs up, and holds nothing then`, () => {
      const { world, alice, bob, answer, invite } = talk();
      const [one, other, dialog] = who === "caller" ? [alice, bob, answer] : [bob, alice, invite];
      const bye = one.within(dialog, "BYE");
      one.send(bye);
      const got = other.request("BYE");
      assert.equal(got.uriText, other.contact);
      assert.deepEqual(got.list("route"), [], "nothing of our Route goes on");
      other.send(reply(got, 200));
      assert.equal(one.response.status, 200);
      assert.deepEqual(world.edge.calls(), []);
      assert.equal(world.ports.size, 0);
      const [end] = world.events.slice(-1);
      assert.ok(end?.type === "call" && end.what === "ended" && end.call.end === `hung up by ${who}`);
    });
  }

  test("a private Contact is shown as the socket that reaches the phone, and comes back as it was", () => {
    const { alice, bob, answer, invite } = talk();
    assert.match(answer.header("contact") ?? "", /@192\.0\.2\.9:40000;transport=udp/);
    assert.match(invite.header("contact") ?? "", /@198\.51\.100\.7:40000;transport=udp/);
    bob.send(bob.within(invite, "INFO"));
    assert.equal(alice.request("INFO").uriText, alice.contact);
  });

  test("L16: what the callee gets has two Vias, received, Record-Route with lr, and the relay in c= and m=", () => {
    const { invite } = talk();
    const vias = invite.list("via");
    assert.equal(vias.length, 2);
    assert.match(vias[1] ?? "", /received=198\.51\.100\.7/);
    assert.match(invite.header("record-route") ?? "", /^<sip:[\w-]+@203\.0\.113\.1:5060;lr>$/);
    assert.match(invite.body, /c=IN IP4 203\.0\.113\.1\r\n/);
    assert.doesNotMatch(invite.format(), /Proxy-Authorization/, "the answer to our challenge is ours");
  });

  test("hold and resume: a re-INVITE from either side goes through the relay too", () => {
    const { world, alice, bob, answer, invite } = talk();
    for (const direction of ["sendonly", "sendrecv"]) {
      alice.send(alice.within(answer, "INVITE", { body: alice.sdp([`a=${direction}`]) }));
      const got = bob.request("INVITE");
      assert.match(got.body, new RegExp(`c=IN IP4 203.0.113.1[\\s\\S]*a=${direction}`));
      const answered = reply(got, 200);
      answered.setBody(bob.sdp(), "application/sdp");
      bob.send(answered);
      assert.equal(alice.response.status, 200);
      assert.match(alice.response.body, /c=IN IP4 203\.0\.113\.1/);
      alice.send(alice.within(answer, "ACK", { cseq: alice.response.cseq.number }));
    }
    bob.send(bob.within(invite, "INVITE", { body: bob.sdp(["a=inactive"]) }));
    assert.match(alice.request("INVITE").body, /c=IN IP4 203\.0\.113\.1[\s\S]*a=inactive/);
    assert.equal(world.edge.calls().length, 1);
  });

  test("an offer that comes with the answer is relayed as well, and its answer with the ACK", () => {
    const world = new World();
    const [alice, bob] = phones(world);
    alice.ask(alice.invitation("bob", "late", ""));
    bob.answer(200);
    assert.match(alice.response.body, /c=IN IP4 203\.0\.113\.1/);
    alice.send(alice.within(alice.response, "ACK", { body: alice.sdp() }));
    assert.match(bob.request("ACK").body, /c=IN IP4 203\.0\.113\.1/);
    bob.speak(sdpOf(bob.request("ACK")));
    assert.ok(alice.speak(sdpOf(alice.response)));
  });
});

suite("what does not come about", () => {
  test("the caller hangs up while it rings: the phone is told, and nothing is held", () => {
    const world = new World();
    const [alice, bob] = phones(world);
    const invite = alice.invitation("bob");
    alice.ask(invite);
    bob.answer(180);
    const sent = alice.lastInvite();
    alice.send(cancelOf(sent));
    assert.equal(alice.response.cseq.method, "CANCEL");
    assert.equal(alice.response.status, 200);
    assert.equal(bob.requests.at(-1)?.method, "CANCEL");
    world.pass(1_000);
    assert.equal(world.ports.size, 0, "before anybody has said more");
    bob.answer(487, { body: "" });
    assert.equal(alice.response.status, 487);
    const [end] = world.events.flatMap((one) => (one.type === "call" && one.what === "ended" ? [one.call.end] : []));
    assert.equal(end, "cancelled by caller");
    assert.deepEqual(world.edge.calls(), []);
  });

  test("a CANCEL from elsewhere does nothing", () => {
    const world = new World();
    const [alice, bob] = phones(world);
    alice.ask(alice.invitation("bob"));
    bob.answer(180);
    const mallory = new Phone(world, "carol", { outside: "198.51.100.66" });
    mallory.send(cancelOf(alice.lastInvite()));
    assert.equal(
      bob.requests.some(({ method }) => method === "CANCEL"),
      false,
    );
    assert.equal(world.edge.calls().length, 1);
  });

  test("nobody is there: 480; who refuses is heard; and the call is over", () => {
    const world = new World();
    const [alice, bob] = phones(world);
    assert.equal(alice.ask(alice.invitation("carol")).status, 480);
    alice.ask(alice.invitation("bob"));
    bob.answer(486, { body: "" });
    assert.equal(alice.response.status, 486);
    assert.equal(world.ports.size, 0);
    assert.deepEqual(world.edge.calls(), []);
  });

  test("an answer that is never acknowledged is named", () => {
    const world = new World();
    const [alice, bob] = phones(world);
    alice.ask(alice.invitation("bob"));
    bob.answer(200);
    world.pass(31_000);
    assert.deepEqual(world.told("trouble"), []);
    world.pass(1_000);
    assert.deepEqual(world.told("trouble"), ["never-acknowledged"]);
  });

  test("an offer in an answer that is never acknowledged holds its ports no longer than any silent call", () => {
    const world = new World();
    const [alice, bob] = phones(world);
    alice.ask(alice.invitation("bob", "late", ""));
    bob.answer(200);
    assert.ok(world.ports.size > 0);
    world.pass(61_000);
    assert.equal(world.ports.size, 0);
    assert.deepEqual(world.told("trouble"), ["never-acknowledged", "no-media"]);
  });

  test("a call without any media ends after a minute, and is named; one on hold does not", () => {
    const { world } = talk();
    world.pass(61_000);
    assert.deepEqual(world.told("trouble"), ["no-media"]);
    assert.equal(world.ports.size, 0);
    assert.deepEqual(world.edge.calls(), []);
  });

  test("RFC 3325 §5: an identity that a user asserts for itself goes no further", () => {
    const world = new World();
    const [alice, bob] = phones(world);
    const invite = alice.invitation("bob");
    for (const name of ["P-Asserted-Identity", "Remote-Party-ID"]) invite.headers.set(name, "<sip:carol@example.org>");
    alice.ask(invite);
    assert.doesNotMatch(bob.request("INVITE").format(), /carol/);
  });

  test("nobody calls under another's name", () => {
    const world = new World();
    const [alice] = phones(world);
    const invite = alice.invitation("bob");
    invite.headers.set("From", "<sip:carol@example.org>;tag=x");
    assert.equal(alice.ask(invite).status, 403);
  });
});

suite("several phones of one user", () => {
  test("ring together; when one answers the others are told, and only one call's ports are held", () => {
    const world = new World();
    const [alice, bob] = phones(world);
    const second = new Phone(world, "bob", { outside: "192.0.2.10", inside: "192.168.1.6" });
    second.register();
    alice.ask(alice.invitation("bob"));
    for (const phone of [bob, second]) phone.answer(183, { body: phone.sdp() });
    assert.equal(alice.responses.filter(({ status }) => status === 183).length, 2);
    const held = world.ports.size;
    second.answer(200);
    assert.equal(bob.requests.at(-1)?.method, "CANCEL");
    bob.answer(487);
    assert.ok(world.ports.size < held);
    const heard = bob.requests.length;
    alice.send(alice.within(alice.response, "ACK"));
    assert.equal(second.request("ACK").uriText, second.contact);
    assert.equal(bob.requests.length, heard);
    second.speak(sdpOf(second.request("INVITE")));
    assert.ok(alice.speak(sdpOf(alice.response)));
  });

  test("who calls its own name rings its other phones, and never itself", () => {
    const world = new World();
    const [alice] = phones(world);
    assert.equal(alice.ask(alice.invitation("alice")).status, 480);
    const second = new Phone(world, "alice", { outside: "192.0.2.20", inside: "192.168.1.7" });
    second.register();
    alice.ask(alice.invitation("alice"));
    assert.equal(second.request("INVITE").uriText, second.contact);
    assert.deepEqual(alice.requests, []);
  });

  test("RFC 6665 §4.1.2.2: its own mailbox is not asked of a user's phones, nor is anything published to them", () => {
    const world = new World();
    const [alice] = phones(world);
    new Phone(world, "alice", { outside: "192.0.2.20", inside: "192.168.1.7" }).register();
    for (const method of ["SUBSCRIBE", "PUBLISH"]) {
      const me = "<sip:alice@example.org>";
      const headers = [
        ["From", `${me};tag=s`],
        ["To", me],
        ["Call-ID", method],
        ["CSeq", `1 ${method}`],
      ] as const;
      assert.equal(alice.ask(alice.build(method, "sip:alice@example.org", headers)).status, 489, method);
    }
  });
});

suite("RFC 3428: an instant message", () => {
  function message(from: Phone, to: string, more: readonly HeaderLine[] = []): SipRequest {
    const request = from.build("MESSAGE", `sip:${to}@example.org`, [
      ["From", `<sip:${from.user}@example.org>;tag=m`],
      ["To", `<sip:${to}@example.org>`],
      ["Call-ID", `m-${to}`],
      ["CSeq", "1 MESSAGE"],
      ...more,
    ]);
    request.setBody("<b>Gr\u00c3\u00bc\u00c3\u009fe</b>", "text/html;charset=utf-8");
    return request;
  }

  test("reaches all phones of the user, byte for byte; who has not called knows of no call", () => {
    const world = new World();
    const [alice, bob] = phones(world);
    const second = new Phone(world, "bob", { outside: "192.0.2.10", inside: "192.168.1.6" });
    second.register();
    alice.ask(message(alice, "bob"));
    for (const phone of [bob, second]) {
      const got = phone.request("MESSAGE");
      assert.equal(got.body, message(alice, "bob").body);
      assert.equal(got.header("content-type"), "text/html;charset=utf-8");
      assert.equal(got.header("record-route"), undefined, "§3: it begins no dialog");
      assert.doesNotMatch(got.format(), /Proxy-Authorization/);
    }
    second.send(reply(second.request("MESSAGE"), 200));
    bob.send(reply(bob.request("MESSAGE"), 200));
    assert.deepEqual(
      alice.responses.filter(({ cseq }) => cseq.method === "MESSAGE").map(({ status }) => status),
      [407, 200],
    );
    assert.deepEqual(world.told("call"), []);
  });

  test("to a user who has no phone now is answered 480, and to who is no user too: that tells nobody who is one", () => {
    const world = new World();
    const [alice] = phones(world);
    assert.equal(alice.ask(message(alice, "carol")).status, 480);
    assert.equal(alice.ask(message(alice, "nobody")).status, 480);
    assert.deepEqual(world.edge.calls(), []);
  });

  test("of a stranger, or under another's name, reaches nobody", () => {
    const world = new World();
    const [alice, bob] = phones(world);
    const mallory = new Phone(world, "carol", { outside: "198.51.100.66" });
    mallory.send(message(mallory, "bob"));
    assert.equal(mallory.response.status, 407);
    const forged = message(alice, "bob");
    forged.headers.set("From", "<sip:carol@example.org>;tag=m");
    assert.equal(alice.ask(forged).status, 403);
    assert.ok(!bob.requests.some(({ method }) => method === "MESSAGE"));
  });
});

suite("a phone that moves during a call", () => {
  test("is reached where it has registered from, and its media is learned anew from there", () => {
    const { world, alice, bob, answer, invite } = talk();
    bob.speak(sdpOf(invite));
    alice.speak(sdpOf(answer));
    bob.move("192.0.2.77", 1025);
    bob.register();
    assert.ok(world.told("binding").includes("moved"));
    alice.send(alice.within(answer, "INFO"));
    assert.equal(bob.request("INFO").uriText, bob.contact);
    bob.speak(sdpOf(invite), at("192.0.2.77", 18_000));
    const reached = alice.speak(sdpOf(answer));
    assert.equal(reached && formatAddress(reached.remote), "192.0.2.77:18000");
  });

  test("who has only overheard the dialog cannot take it over: it is asked for the password", () => {
    const { world, alice, bob, invite } = talk();
    const mallory = new Phone(world, "carol", { outside: "198.51.100.66" });
    const stolen = bob.within(invite, "INVITE", { body: mallory.sdp() });
    const before = alice.requests.length;
    mallory.send(stolen);
    assert.equal(mallory.response.status, 407);
    stolen.headers.set("Proxy-Authorization", mallory.authorize(stolen));
    mallory.send(stolen);
    mallory.send(bob.within(invite, "BYE"));
    assert.equal(alice.requests.length, before);
    assert.equal(world.edge.calls().length, 1);
  });

  test("a request with a token that is not ours is dropped", () => {
    const { world, alice, bob, answer } = talk();
    const bye = alice.within(answer, "BYE");
    const route = bye.header("route") ?? "";
    bye.headers.set(
      "Route",
      route.replace(/sip:(.)/, (_, first) => `sip:${first === "A" ? "B" : "A"}`),
    );
    const before = bob.requests.length;
    alice.send(bye);
    assert.equal(bob.requests.length, before);
    assert.equal(world.edge.calls().length, 1);
  });
});

suite("a trunk", () => {
  const provider = {
    name: "provider",
    sources: [parsePrefix("198.18.0.5/32") as Prefix],
    media: [parsePrefix("198.18.1.0/24") as Prefix],
    target: { transport: "udp", address: at("198.18.0.5", 5060) },
    host: "sip.provider.example",
    prefixes: ["+", "0"],
    users: new Set(["alice"]),
  } as const;

  test("is dialed by who may, and by nobody else", () => {
    const world = new World({ trunks: [provider] });
    const [alice, bob] = phones(world);
    const trunk = new Phone(world, "trunk", { outside: "198.18.0.5", port: 5060, inside: "198.18.0.5" });
    assert.equal(bob.ask(bob.invitation("+4912345")).status, 403);
    alice.ask(alice.invitation("+4912345"));
    const invite = trunk.request("INVITE");
    assert.equal(invite.uriText, "sip:+4912345@sip.provider.example");
    trunk.answer(200);
    assert.equal(alice.response.status, 200);
    alice.send(alice.within(alice.response, "ACK"));
    assert.equal(trunk.request("ACK").uriText, trunk.contact);
  });

  test("is heard from where its media may come from, which its signaling does not prove", () => {
    const world = new World({ trunks: [provider] });
    const [alice] = phones(world);
    const trunk = new Phone(world, "trunk", { outside: "198.18.0.5", port: 5060, inside: "198.18.0.5" });
    alice.ask(alice.invitation("+4912345"));
    trunk.answer(200, { body: voiceSdp("198.18.1.7:7000") });
    alice.send(alice.within(alice.response, "ACK"));
    alice.speak(sdpOf(alice.response));
    const toTrunk = sdpOf(trunk.request("INVITE"));
    assert.equal(trunk.speak(toTrunk), undefined, "from where it signals");
    const heard = trunk.speak(toTrunk, at("198.18.1.7", 7000));
    assert.equal(heard && formatAddress(heard.remote), "198.51.100.7:17000");
  });

  test("brings as many calls as all our users may have, and each user no more than that one may", () => {
    const quotas = { ...DEFAULT_RELAY_QUOTAS, sessionsPerOwner: 1 };
    const world = new World({ trunks: [provider], relay: { ...RELAY, quotas } });
    const [alice, bob] = phones(world);
    const trunk = new Phone(world, "trunk", { outside: "198.18.0.5", port: 5060, inside: "198.18.0.5" });
    for (const [user, phone] of [
      ["alice", alice],
      ["bob", bob],
    ] as const) {
      trunk.send(trunk.invitation(user));
      assert.equal(phone.request("INVITE").uriText, phone.contact);
      trunk.send(trunk.invitation(user));
      assert.equal(trunk.response.status, 500);
    }
  });

  test("calls our users without a password, and nobody through another trunk", () => {
    const world = new World({ trunks: [provider] });
    const [, bob] = phones(world);
    const trunk = new Phone(world, "trunk", { outside: "198.18.0.5", port: 5060, inside: "198.18.0.5" });
    trunk.send(trunk.invitation("bob"));
    assert.equal(bob.request("INVITE").uriText, bob.contact);
    bob.answer(200);
    assert.equal(trunk.response.status, 200);
    trunk.send(trunk.invitation("+4912345"));
    assert.equal(trunk.response.status, 480);
  });
});

function reply(request: SipRequest, status: number): SipResponse {
  return createResponse(request, status, { toTag: "again" });
}
