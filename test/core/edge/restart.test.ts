/** Dialogs that outlive the process, or a phone's connection: who is reached, by what proof, and whether there is sound. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { DEFAULT_EDGE_LIMITS, type EdgeConfig } from "../../../src/core/edge/config.ts";
import type { SipTransport } from "../../../src/core/sip/flow.ts";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import type { SipResponse } from "../../../src/core/sip/message/message.ts";
import { mediaOf, Phone, sdpOf, World } from "./world.ts";

interface Talk {
  readonly world: World;
  readonly alice: Phone;
  readonly bob: Phone;
  readonly answer: SipResponse;
}

/** Alice has called bob, and he has answered; both are on `transport`. */
function talk(transport: SipTransport, bobs = ""): Talk {
  const world = new World();
  const alice = new Phone(world, "alice", { outside: "198.51.100.7", transport });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5", transport });
  assert.equal(alice.register().status, 200);
  assert.equal(registerAs(bob, bobs).status, 200);
  alice.ask(alice.invitation("bob"));
  bob.answer(200);
  const answer = alice.response;
  alice.send(alice.within(answer, "ACK"));
  return { world, alice, bob, answer };
}

/** With an instance where one is given. */
function registerAs(phone: Phone, instance: string, contact = phone.contact): SipResponse {
  const register = phone.registration();
  register.headers.set("Contact", `<${contact}>${instance === "" ? "" : `;+sip.instance="<urn:uuid:${instance}>"`}`);
  return phone.ask(register);
}

function restart({ world, alice, bob }: Talk, config: Partial<EdgeConfig> = {}): World {
  const next = world.restarted(config);
  for (const phone of [alice, bob]) phone.joins(next);
  return next;
}

for (const transport of ["tcp", "tls"] as const) {
  for (const who of ["caller", "callee"] as const) {
    test(`L22: after a restart a BYE of the ${who} reaches the other, on ${transport}, who has registered anew`, () => {
      const call = talk(transport);
      const { alice, bob, answer } = call;
      restart(call);
      for (const [phone, port] of [
        [alice, 50_001],
        [bob, 50_002],
      ] as const) {
        phone.reconnect(port);
        assert.equal(phone.register().status, 200);
      }
      const [from, to] = who === "caller" ? [alice, bob] : [bob, alice];
      const asked = from.responses.length;
      from.send(from.within(who === "caller" ? answer : bob.request("INVITE"), "BYE"));
      assert.equal(to.request("BYE").uriText, to.contact);
      to.send(createResponse(to.request("BYE"), 200));
      assert.deepEqual(
        from.responses.slice(asked).map(({ status }) => status),
        [200],
        "what the same user has registered is proof enough",
      );
    });
  }
}

test("after a restart who has not registered yet shows a password within a dialog, and is let in", () => {
  const call = talk("tcp");
  const { alice, bob, answer } = call;
  restart(call);
  alice.reconnect(50_001);
  bob.reconnect(50_002);
  bob.register();
  assert.equal(alice.ask(alice.within(answer, "INFO")).status, 407);
  bob.send(createResponse(bob.request("INFO"), 200));
  assert.equal(alice.response.status, 200);
});

test("after a restart another user's registration or password proves nothing", () => {
  const call = talk("tcp");
  const { alice, bob, answer } = call;
  const next = restart(call);
  bob.reconnect(50_002);
  bob.register();
  const carol = new Phone(next, "carol", { outside: "198.51.100.7", port: 50_003, transport: "tcp" });
  assert.equal(carol.register().status, 200);
  const before = bob.requests.length;
  const stolen = alice.within(answer, "BYE");
  assert.equal(carol.ask(stolen).status, 407);
  assert.equal(bob.requests.length, before);
});

test("after a restart the flow alone proves nothing: who has been removed since then asks for nothing in a call", () => {
  const call = talk("udp");
  const { alice, bob } = call;
  const next = restart(call);
  next.edge.handleUserRemoved("bob", next.now);
  next.settle();
  const before = alice.requests.length;
  bob.send(bob.within(bob.request("INVITE"), "INVITE", { body: bob.sdp() }));
  assert.equal(bob.response.status, 407);
  assert.deepEqual([alice.requests.length, next.edge.calls().length], [before, 0]);
});

suite("a phone's connection is replaced during a call", () => {
  for (const [how, instance, contact] of [
    ["with the same Contact", "", undefined],
    ["with the same instance and another Contact", "0001", "sip:bob@192.168.1.5:49999;transport=tcp"],
    ["with another Contact, and it is the user's only phone", "", "sip:bob@192.168.1.5:49999;transport=tcp"],
  ] as const) {
    for (const isRestarted of [false, true]) {
      test(`${how}${isRestarted ? ", by a restart" : ""}: what the other asks reaches it`, () => {
        const call = talk("tcp", instance);
        const { alice, bob, answer } = call;
        if (isRestarted) restart(call);
        if (isRestarted) alice.reconnect(50_001);
        alice.register();
        bob.reconnect(50_002);
        assert.equal(registerAs(bob, instance, contact).status, 200);
        alice.send(alice.within(answer, "INVITE", { body: alice.sdp() }));
        assert.equal(bob.requests.filter(({ method }) => method === "INVITE").length, 2);
        bob.answer(200);
        assert.equal(alice.response.status, 200);
        alice.send(alice.within(answer, "ACK"));
        assert.equal(bob.requests.filter(({ method }) => method === "ACK").length, 2);
        alice.speak(sdpOf(alice.response));
        assert.ok(bob.speak(sdpOf(bob.request("INVITE"))), "and hears it");
      });
    }
  }

  for (const isRestarted of [false, true]) {
    test(`of a user's two phones that one is asked which is in the call${isRestarted ? ", after a restart" : ""}`, () => {
      const call = talk("tcp", "0001");
      const { alice, bob, answer } = call;
      const world = isRestarted ? restart(call) : call.world;
      if (isRestarted) alice.reconnect(50_001);
      alice.register();
      const mobile = new Phone(world, "bob", { outside: "192.0.2.77", inside: "192.168.9.5", transport: "tcp" });
      bob.reconnect(50_002);
      assert.equal(registerAs(bob, "0001", "sip:bob@192.168.1.5:49999;transport=tcp").status, 200);
      assert.equal(registerAs(mobile, "0002").status, 200);
      alice.send(alice.within(answer, "BYE"));
      assert.equal(mobile.requests.length, 0);
      assert.ok(bob.request("BYE"));
    });
  }

  test("from another network: its sound is taken from there as soon as it is asked there", () => {
    const call = talk("tcp");
    const { alice, bob, answer } = call;
    bob.reconnect(50_002, "192.0.2.200");
    assert.equal(registerAs(bob, "", "sip:bob@192.168.1.5:49999;transport=tcp").status, 200);
    alice.send(alice.within(answer, "INVITE", { body: alice.sdp() }));
    bob.answer(200);
    alice.send(alice.within(answer, "ACK"));
    alice.speak(sdpOf(alice.response));
    assert.ok(bob.speak(sdpOf(bob.request("INVITE"))));
  });

  test("on UDP, after a restart its NAT has given it another address: what it has registered leads to it", () => {
    const call = talk("udp");
    const { alice, bob, answer } = call;
    restart(call);
    bob.move("192.0.2.200", 60_000);
    assert.equal(bob.register().status, 200);
    alice.send(alice.within(answer, "BYE"));
    assert.ok(bob.request("BYE"));
  });

  test("a phone that is gone is not taken for another of the same user's", () => {
    const call = talk("tcp", "0001");
    const { world, alice, bob, answer } = call;
    for (const n of [1, 2]) {
      const other = new Phone(world, "bob", {
        outside: "192.0.2.77",
        inside: `192.168.9.${n}`,
        transport: "tcp",
        port: n,
      });
      assert.equal(registerAs(other, `100${n}`).status, 200);
    }
    bob.reconnect(50_002);
    world.forget(bob.flow);
    alice.send(alice.within(answer, "BYE"));
    assert.equal(world.astray.filter(({ text }) => text.startsWith("BYE")).length, 1);
  });
});

suite("media after a restart", () => {
  /** What was said of media before, and what is said to the same phone now. */
  function refresh(call: Talk, who: "caller" | "callee"): readonly [SipResponse, Phone, Phone] {
    const { alice, bob, answer } = call;
    const [from, to] = who === "caller" ? [alice, bob] : [bob, alice];
    const dialog = who === "caller" ? answer : bob.request("INVITE");
    from.send(from.within(dialog, "INVITE", { body: from.sdp() }));
    const invite = to.request("INVITE");
    const again = createResponse(invite, 200, { headers: [["Contact", `<${to.contact}>`]] });
    again.setBody(to.sdp(), "application/sdp");
    to.send(again);
    assert.equal(from.response.status, 200);
    from.send(from.within(dialog, "ACK"));
    return [from.response, from, to];
  }

  for (const who of ["caller", "callee"] as const) {
    test(`RFC 4028 §7.4: a refresh by the ${who} makes the call known, and leads its sound through the relay again`, () => {
      const call = talk("udp");
      const { alice, bob } = call;
      const [told] = [sdpOf(bob.request("INVITE")).format()];
      const next = restart(call);
      assert.deepEqual(next.edge.calls(), []);
      const [response, from, to] = refresh(call, who);
      const [offer, answered] = [sdpOf(to.request("INVITE")), sdpOf(response)];
      for (const document of [offer, answered]) assert.match(document.format(), /c=IN IP4 203\.0\.113\.1\r/);
      to.speak(offer);
      assert.ok(from.speak(answered), "the other hears it");
      assert.ok(to.speak(offer));
      const [report] = next.edge.calls();
      assert.ok(report);
      assert.deepEqual(
        [report.caller.name, report.called, report.callee?.name, report.state, report.isResumed],
        ["alice", "bob", "bob", "acknowledged", true],
      );
      assert.deepEqual(next.told("call"), ["answered"]);
      if (who === "caller") assert.notEqual(offer.format(), told);
      alice.send(alice.within(call.answer, "BYE"));
      bob.send(createResponse(bob.request("BYE"), 200));
      assert.equal(next.edge.calls().length, 0);
      assert.equal(next.ports.size, 0);
    });
  }

  test("RFC 3264 §8: what a phone is told has another version than before, which grows, and stays while it stays", () => {
    const call = talk("udp");
    const versionOf = (text: string): bigint => BigInt(/^o=\S+ \S+ (\d+) /m.exec(text)?.[1] ?? "0");
    const before = versionOf(sdpOf(call.bob.request("INVITE")).format());
    restart(call);
    refresh(call, "caller");
    const first = versionOf(sdpOf(call.bob.request("INVITE")).format());
    assert.ok(first > before);
    refresh(call, "caller");
    assert.equal(versionOf(sdpOf(call.bob.request("INVITE")).format()), first);
    const again = { ...call, world: call.alice.world };
    for (const phone of [call.alice, call.bob]) phone.register();
    again.world.pass(5_000);
    restart(again);
    refresh(call, "caller");
    assert.ok(versionOf(sdpOf(call.bob.request("INVITE")).format()) > first);
  });

  test("RFC 3261 §14.2: an INVITE without an offer asks for one, and its ACK settles where sound goes", () => {
    const call = talk("udp");
    const { alice, bob, answer } = call;
    restart(call);
    alice.send(alice.within(answer, "INVITE"));
    bob.answer(200);
    const offer = alice.response;
    const ack = alice.within(answer, "ACK", { body: alice.sdp() });
    ack.headers.set("CSeq", `${offer.cseq.number} ACK`);
    alice.send(ack);
    alice.speak(sdpOf(offer));
    assert.ok(bob.speak(sdpOf(bob.request("ACK"))));
  });

  test("RFC 3311 §5.1: an UPDATE with an offer does the same, and is not waited for", () => {
    const call = talk("udp");
    const { alice, bob, answer } = call;
    const next = restart(call);
    alice.send(alice.within(answer, "UPDATE", { body: alice.sdp() }));
    const accepted = createResponse(bob.request("UPDATE"), 200, { headers: [["Contact", `<${bob.contact}>`]] });
    accepted.setBody(bob.sdp(), "application/sdp");
    bob.send(accepted);
    bob.speak(sdpOf(bob.request("UPDATE")));
    assert.ok(alice.speak(sdpOf(alice.response)));
    assert.equal(next.edge.calls()[0]?.state, "acknowledged");
    next.pass(40_000);
    assert.deepEqual(next.told("trouble"), []);
  });

  test("where there is room for no call more, an offer is refused, and its dialog goes on as it was", () => {
    const call = talk("udp");
    const { alice, bob, answer } = call;
    const next = restart(call, { limits: { ...DEFAULT_EDGE_LIMITS, calls: 1 } });
    const carol = new Phone(next, "carol", { outside: "198.51.100.99" });
    carol.register();
    carol.ask(carol.invitation("alice"));
    alice.send(alice.within(answer, "INVITE", { body: alice.sdp() }));
    assert.equal(alice.response.status, 503);
    alice.send(alice.within(answer, "BYE"));
    assert.ok(bob.request("BYE"));
  });

  test("what is asked beside the offer that makes a call known, and is refused, does not end it", () => {
    const call = talk("udp");
    const { alice, bob, answer } = call;
    const next = restart(call);
    alice.send(alice.within(answer, "INVITE", { body: alice.sdp() }));
    alice.send(alice.within(answer, "INFO"));
    bob.send(createResponse(bob.request("INFO"), 501));
    bob.answer(200);
    const { response } = alice;
    alice.send(alice.within(answer, "ACK"));
    alice.speak(sdpOf(response));
    assert.ok(bob.speak(sdpOf(bob.request("INVITE"))));
    assert.equal(next.edge.calls()[0]?.state, "acknowledged");
  });

  test("calls that are known again count for who has placed them, so that nobody has more than may be", () => {
    const first = talk("udp");
    const { world, alice, bob } = first;
    alice.ask(alice.invitation("bob"));
    bob.answer(200);
    const second = alice.response;
    alice.send(alice.within(second, "ACK"));
    assert.equal(world.edge.calls().length, 2);
    const callsPer = { ...DEFAULT_EDGE_LIMITS.callsPer, user: 1 };
    const next = restart(first, { limits: { ...DEFAULT_EDGE_LIMITS, callsPer } });
    refresh(first, "caller");
    alice.send(alice.within(second, "INVITE", { body: alice.sdp() }));
    assert.deepEqual([alice.response.status, next.edge.calls().length], [503, 1]);
    assert.deepEqual(
      next.events.flatMap((event) => (event.type === "limited" ? [[event.limit, event.name]] : [])),
      [["user-calls", "alice"]],
    );
  });

  test("RFC 3261 §12.1.1: a token makes one call known, and not one for each tag that somebody invents", () => {
    const call = talk("udp");
    const { bob } = call;
    const next = restart(call);
    const invite = bob.request("INVITE");
    for (const tag of ["one", "two"]) {
      const invented = bob.within(invite, "INVITE", { body: bob.sdp() });
      invented.headers.set("To", `<sip:alice@example.org>;tag=${tag}`);
      bob.send(invented);
    }
    assert.deepEqual([next.edge.callCount, next.edge.stats.refused.foreign], [0, 2]);
    bob.send(bob.within(invite, "INVITE", { body: bob.sdp() }));
    assert.equal(next.edge.callCount, 1);
  });

  test("two offers whose passwords are looked up at once make one call known", () => {
    const call = talk("tcp");
    const { alice, bob, answer } = call;
    const next = restart(call);
    bob.reconnect(50_002);
    bob.register();
    alice.reconnect(50_001);
    const [one, other] = ["a", "b"].map(() => {
      const asked = alice.within(answer, "INVITE", { body: alice.sdp() });
      alice.send(asked);
      assert.equal(alice.response.status, 407);
      alice.acknowledgeRefusal(asked);
      const again = alice.within(answer, "INVITE", { body: alice.sdp() });
      again.headers.set("Proxy-Authorization", alice.authorize(again));
      return again;
    });
    assert.ok(one && other);
    for (const again of [one, other]) next.edge.handleText(again.format(), alice.flow, next.now);
    next.settle();
    const [first, second] = bob.requests.filter(({ method }) => method === "INVITE").slice(-2);
    assert.ok(first && second);
    const accepted = createResponse(first, 200, { headers: [["Contact", `<${bob.contact}>`]] });
    accepted.setBody(bob.sdp(), "application/sdp");
    bob.send(accepted);
    bob.send(createResponse(second, 491));
    assert.deepEqual(
      next.edge.calls().map(({ state }) => state),
      ["answered"],
    );
  });

  test("of a phone behind another proxy media does not come from there, whatever its transport", () => {
    const world = new World();
    const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
    alice.register();
    const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5", transport: "tcp" });
    const register = () => {
      const registration = bob.registration();
      registration.prependVia("SIP/2.0/TCP proxy.example.net;branch=z9hG4bKproxy");
      assert.equal(bob.ask(registration).status, 200);
    };
    register();
    alice.ask(alice.invitation("bob"));
    bob.answer(200);
    const answer = alice.response;
    alice.send(alice.within(answer, "ACK"));
    const call = { world, alice, bob, answer };
    restart(call);
    bob.reconnect(50_002);
    register();
    const [response] = refresh(call, "caller");
    alice.speak(sdpOf(response));
    assert.equal(bob.speak(sdpOf(bob.request("INVITE"))), undefined);
  });

  test("a phone that comes back through another proxy is not heard from there", () => {
    const call = talk("tcp");
    const { alice, bob, answer } = call;
    assert.ok(alice.speak(sdpOf(answer)) ?? bob.speak(sdpOf(bob.request("INVITE"))) ?? alice.speak(sdpOf(answer)));
    alice.reconnect(50_001, "203.0.113.200");
    const registration = alice.registration();
    registration.prependVia("SIP/2.0/TCP proxy.example.net;branch=z9hG4bKproxy");
    assert.equal(alice.ask(registration).status, 200);
    alice.send(alice.within(answer, "INVITE", { body: alice.sdp() }));
    bob.answer(200);
    alice.send(alice.within(answer, "ACK"));
    assert.equal(alice.speak(sdpOf(alice.response)), undefined);
  });

  test("a call that is known again ends like any other when nothing is heard in it", () => {
    const call = talk("udp");
    const next = restart(call);
    refresh(call, "caller");
    next.pass(61_000);
    assert.equal(next.edge.endedCalls(next.now)[0]?.end, "no media came");
  });

  test("an offer that is refused leaves no call and no port behind, and the next one is heard", () => {
    const call = talk("udp");
    const { alice, bob, answer } = call;
    const next = restart(call);
    alice.send(alice.within(answer, "INVITE", { body: alice.sdp() }));
    bob.send(createResponse(bob.request("INVITE"), 491));
    assert.equal(alice.response.status, 491);
    assert.deepEqual([next.edge.calls(), next.ports.size, next.edge.endedCalls(next.now)], [[], 0, []]);
    refresh(call, "caller");
    assert.equal(next.edge.calls().length, 1);
  });

  test("RFC 3261 §12.2.2: who has hung up is not called again by an offer that crossed the BYE", () => {
    const call = talk("udp");
    const { world, alice, bob, answer } = call;
    alice.send(alice.within(answer, "BYE"));
    bob.send(createResponse(bob.request("BYE"), 200));
    const before = alice.requests.length;
    bob.send(bob.within(bob.request("INVITE"), "INVITE", { body: bob.sdp() }));
    assert.equal(bob.response.status, 481);
    assert.equal(alice.requests.length, before);
    assert.equal(world.edge.calls().length, 0);
  });

  test("a call that ended here for want of sound comes back with the next offer", () => {
    const call = talk("udp");
    const { world } = call;
    world.pass(61_000);
    assert.equal(world.edge.calls().length, 0);
    const [response, from, to] = refresh(call, "caller");
    to.speak(sdpOf(to.request("INVITE")));
    assert.ok(from.speak(sdpOf(response)));
    assert.ok(mediaOf(sdpOf(response)).port > 0);
  });
});
