/** What is told to an edge that runs. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Prefix, parsePrefix } from "../../../src/core/base/prefix.ts";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import { at, EDGE, mediaOf, Phone, sdpOf, World } from "./world.ts";

const PROVIDER = {
  name: "provider",
  sources: [parsePrefix("198.18.0.5/32") as Prefix],
  media: [],
  target: { transport: "udp", address: at("198.18.0.5", 5060) },
  host: "sip.provider.example",
  prefixes: ["0"],
  users: "all",
} as const;

function phones(world: World): readonly [Phone, Phone] {
  const alice = new Phone(world, "alice", { outside: "198.51.100.7" });
  const bob = new Phone(world, "bob", { outside: "192.0.2.9" });
  for (const phone of [alice, bob]) assert.equal(phone.register().status, 200);
  return [alice, bob];
}

test("while it drains no call begins, and who talks goes on", () => {
  const world = new World();
  const [alice, bob] = phones(world);
  alice.ask(alice.invitation("bob"));
  bob.answer(200);
  const answer = alice.response;
  alice.send(alice.within(answer, "ACK"));
  world.edge.handleDrain();
  assert.equal(bob.ask(bob.invitation("alice")).status, 503);
  assert.equal(world.edge.calls().length, 1);
  alice.send(alice.within(answer, "BYE"));
  assert.equal(bob.request("BYE").callId, answer.callId);
});

test("a user who is removed is not called any more", () => {
  const world = new World();
  const [alice] = phones(world);
  world.edge.handleUserRemoved("bob", world.now);
  world.settle();
  assert.equal(alice.ask(alice.invitation("bob")).status, 480);
});

suite("a user who is removed in a call", () => {
  const world = () => new World({ trunks: [PROVIDER] });

  test("is hung up on, and the other too, each by the BYE that the other would have sent", () => {
    for (const removed of ["alice", "bob"]) {
      const w = world();
      const [alice, bob] = phones(w);
      alice.ask(alice.invitation("bob"));
      bob.answer(200);
      const answer = alice.response;
      alice.send(alice.within(answer, "ACK"));
      // Both have used numbers of theirs since.
      alice.send(alice.within(answer, "INFO"));
      bob.send(bob.within(bob.request("INVITE"), "INFO", { cseq: 77 }));
      const used = bob.request("INFO").cseq.number;
      w.edge.handleUserRemoved(removed, w.now);
      w.settle();
      const [toAlice, toBob] = [alice.request("BYE"), bob.request("BYE")];
      assert.deepEqual([toAlice.callId, toBob.callId], [answer.callId, answer.callId]);
      assert.deepEqual([toAlice.fromTag, toAlice.toTag], [answer.toTag, answer.fromTag]);
      assert.deepEqual([toBob.fromTag, toBob.toTag], [answer.fromTag, answer.toTag]);
      assert.deepEqual([toAlice.uriText, toBob.uriText], [alice.contact, bob.contact], "each has its own Contact");
      assert.deepEqual([toAlice.cseq.number, toBob.cseq.number], [78, used + 1]);
      assert.deepEqual(w.edge.calls(), []);
      assert.equal(w.ports.size, 0, "and no media goes on");
      const [ended] = w.events.filter((event) => event.type === "call" && event.what === "ended");
      assert.equal(ended?.type === "call" && ended.call.end, "user removed");
      // What is still asked in it does not bring it back.
      alice.send(alice.within(answer, "INVITE", { body: alice.sdp() }));
      assert.deepEqual(w.edge.calls(), []);
      for (const phone of [alice, bob]) phone.send(createResponse(phone.request("BYE"), 200));
      w.pass(40_000);
      assert.equal(w.edge.calls().length, 0);
    }
  });

  test("that rings is cancelled, whoever of the two it is", () => {
    for (const removed of ["alice", "bob"]) {
      const w = world();
      const [alice, bob] = phones(w);
      alice.ask(alice.invitation("bob"));
      bob.answer(180);
      w.edge.handleUserRemoved(removed, w.now);
      w.settle();
      assert.equal(bob.request("CANCEL").callId, bob.request("INVITE").callId);
      assert.deepEqual(w.edge.calls(), []);
      bob.answer(487);
      assert.equal(alice.response.status, 487);
    }
  });

  test("through a trunk: the BYE takes the way of the provider's own proxies", () => {
    const w = world();
    const [alice] = phones(w);
    const gateway = new Phone(w, "gateway", { outside: "198.18.0.5", port: 5060, inside: "198.18.0.5" });
    alice.ask(alice.invitation("0123"));
    const invite = gateway.request("INVITE");
    const routes = ["<sip:near.example;lr>", "<sip:far.example;lr>", ...invite.headers.values("record-route")];
    const headers = routes.map((one) => ["Record-Route", one] as const);
    const answer = createResponse(invite, 200, { toTag: "g", headers: [...headers, ["Contact", "<sip:g@10.1.1.1>"]] });
    answer.setBody(gateway.sdp(), "application/sdp");
    gateway.send(answer);
    w.edge.handleUserRemoved("alice", w.now);
    w.settle();
    const bye = gateway.request("BYE");
    assert.equal(bye.uriText, "sip:g@10.1.1.1");
    assert.deepEqual(bye.headers.values("route"), ["<sip:far.example;lr>", "<sip:near.example;lr>"]);
    assert.equal(alice.request("BYE").uriText, alice.contact);
  });

  test("with a service is hung up on; another's call goes on, as does that of who has a new password", () => {
    const w = world();
    const [alice, bob] = phones(w);
    for (const phone of [alice, bob]) {
      phone.ask(phone.invitation("echo"));
      phone.send(phone.within(phone.response, "ACK"));
    }
    w.edge.handlePasswordChanged("alice", w.now);
    w.settle();
    assert.equal(w.edge.calls().length, 2);
    w.edge.handleUserRemoved("alice", w.now);
    w.settle();
    assert.ok(alice.request("BYE"));
    assert.deepEqual(
      w.edge.calls().map(({ caller }) => caller.name),
      ["bob"],
    );
    assert.ok(bob.requests.every(({ method }) => method !== "BYE"));
  });
});

test("the host's public address changes: the next call is told of the new one", () => {
  const world = new World();
  const [alice, bob] = phones(world);
  const [bound, advertised] = [at(EDGE, 0), at("203.0.113.99", 0)];
  const listener = { transport: "udp", local: at(EDGE, 5060), name: "203.0.113.99:5060" } as const;
  world.edge.handlePlaces({ listeners: [listener], relays: [{ bound, advertised }], own: [bound] });
  alice.ask(alice.invitation("bob"));
  const invite = bob.request("INVITE");
  assert.match(invite.header("via") ?? "", /203\.0\.113\.99:5060/);
  assert.match(invite.header("record-route") ?? "", /203\.0\.113\.99:5060/);
  assert.match(sdpOf(invite).format(), /c=IN IP4 203\.0\.113\.99/);
  assert.ok(mediaOf(sdpOf(invite)).port > 0);
});
