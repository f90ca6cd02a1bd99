/** RFC 3327: phones that register through another proxy, and are reached through it. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { SipRequest, SipResponse } from "../../../src/core/sip/message/message.ts";
import { parseMessage } from "../../../src/core/sip/message/parse.ts";
import { voiceSdp } from "../relay/world.ts";
import { at, Phone, sdpOf, World } from "./world.ts";

const PROXY = "198.51.100.200";

/** A provider's proxy: it adds Path to registrations, stays on the path of calls, and has phones behind it. */
class OuterProxy extends Phone {
  readonly phones: Map<string, Inside> = new Map();
  readonly route: string = `<sip:${PROXY};lr>`;

  constructor(world: World) {
    super(world, "proxy", { outside: PROXY, port: 5060, inside: PROXY });
  }

  override receive(text: string): void {
    const message = parseMessage(text);
    assert.ok(message.kind !== "failure", text);
    if (message.kind === "response") {
      const via = message.removeTopVia();
      const phone = [...this.phones.values()].find(
        ({ inside }) => `z9hG4bK${inside}` === via?.params.get("branch")?.split("_")[0],
      );
      assert.ok(phone, `no phone behind ${text}`);
      return phone.receive(message.format());
    }
    const route = message.popRoute();
    assert.equal(route?.uriText, this.route.slice(1, -1), "RFC 3327 §5.4: what is for a phone behind it has its Route");
    const phone = this.phones.get(message.uriText);
    assert.ok(phone, `no phone behind ${message.uriText}`);
    message.prependVia(`SIP/2.0/UDP ${PROXY};branch=z9hG4bKin${message.via.params.get("branch")}`);
    if (message.method === "INVITE") message.addRecordRoute(this.route);
    phone.receive(message.format());
  }

  pass(phone: Inside, message: SipRequest | SipResponse): void {
    const copy = message.copy();
    if (copy.kind === "response") copy.removeTopVia();
    else {
      if (copy.list("route")[0] === this.route) copy.popRoute();
      if (copy.method === "REGISTER" && phone.hasPath) copy.headers.set("Path", this.route);
      if (copy.method === "INVITE") copy.addRecordRoute(this.route);
      copy.prependVia(`SIP/2.0/UDP ${PROXY};branch=z9hG4bK${phone.inside}_${copy.via.params.get("branch")}`);
    }
    this.world.deliver(copy.format(), this.flow);
  }
}

class Inside extends Phone {
  proxy: OuterProxy;
  readonly hasPath: boolean;

  constructor(proxy: OuterProxy, user: string, inside: string, hasPath = true) {
    super(proxy.world, user, { outside: PROXY, port: 5060, inside });
    this.proxy = proxy;
    this.hasPath = hasPath;
    proxy.phones.set(this.contact, this);
    proxy.world.add(proxy);
  }

  override send(message: SipRequest | SipResponse): void {
    this.proxy.pass(this, message);
  }

  override acknowledgeRefusal(invite: SipRequest): void {
    const ack = parseMessage(
      invite
        .format()
        .replace(/^INVITE/, "ACK")
        .replace(/CSeq: (\d+) INVITE/, "CSeq: $1 ACK"),
    );
    assert.ok(ack.kind === "request");
    ack.headers.set("To", this.response.header("to") ?? "");
    ack.setBody("");
    this.send(ack);
  }
}

suite("RFC 3327: a phone behind another proxy", () => {
  test("is reached by the Route that its registration has left, and so is all of its call", () => {
    const world = new World();
    const proxy = new OuterProxy(world);
    const alice = new Inside(proxy, "alice", "10.0.0.2");
    const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
    const registered = alice.register([["Supported", "path"]]);
    assert.deepEqual([registered.status, registered.header("path")], [200, proxy.route]);
    assert.equal(bob.register().status, 200);
    bob.ask(bob.invitation("alice"));
    assert.equal(alice.request("INVITE").uriText, alice.contact);
    alice.answer(200);
    const answer = bob.response;
    assert.equal(answer.status, 200);
    bob.send(bob.within(answer, "ACK"));
    assert.equal(alice.request("ACK").uriText, alice.contact);
    alice.send(alice.within(alice.request("INVITE"), "BYE"));
    assert.equal(bob.request("BYE").uriText, bob.contact);
  });

  test("calls another behind the same, and not itself", () => {
    const world = new World();
    const proxy = new OuterProxy(world);
    const [desk, mobile, bob] = [
      new Inside(proxy, "alice", "10.0.0.2"),
      new Inside(proxy, "alice", "10.0.0.3"),
      new Inside(proxy, "bob", "10.0.0.4"),
    ];
    for (const phone of [desk, mobile, bob]) assert.equal(phone.register().status, 200);
    assert.equal([...world.edge.bindings()].length, 3);
    bob.ask(bob.invitation("alice"));
    for (const phone of [desk, mobile]) assert.equal(phone.request("INVITE").uriText, phone.contact);
    desk.requests.length = 0;
    mobile.requests.length = 0;
    desk.ask(desk.invitation("alice"));
    assert.equal(mobile.request("INVITE").uriText, mobile.contact);
    assert.equal(desk.requests.length, 0);
  });

  test("is asked through it whether it is there", () => {
    const world = new World();
    const alice = new Inside(new OuterProxy(world), "alice", "10.0.0.2");
    alice.register();
    world.pass(25_000);
    const [binding] = world.edge.bindings();
    assert.equal(binding?.state, "reachable");
    assert.ok((binding.answeredAt ?? 0) > 0);
  });

  test("L20: is known to have come through it, with a Path or without", () => {
    for (const hasPath of [true, false]) {
      const world = new World();
      const alice = new Inside(new OuterProxy(world), "alice", "10.0.0.2", hasPath);
      alice.register();
      assert.deepEqual(
        [...world.edge.bindings()].map(({ through, path }) => [through, path.length]),
        [[PROXY, Number(hasPath)]],
      );
    }
    const world = new World();
    const bob = new Phone(world, "bob", { outside: "192.0.2.9" });
    bob.register();
    assert.deepEqual(
      [...world.edge.bindings()].map(({ through }) => through),
      [undefined],
    );
  });

  test("is not heard from the proxy's address because its signaling comes from there", () => {
    const world = new World();
    const alice = new Inside(new OuterProxy(world), "alice", "10.0.0.2");
    const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
    alice.register();
    bob.register();
    bob.ask(bob.invitation("alice"));
    alice.answer(200);
    bob.send(bob.within(bob.response, "ACK"));
    assert.ok(bob.speak(sdpOf(bob.response)) === undefined);
    assert.equal(alice.speak(sdpOf(alice.request("INVITE")), at(PROXY, 7000)), undefined);

    alice.ask(alice.invitation("bob"));
    bob.answer(200);
    alice.send(alice.within(alice.response, "ACK"));
    bob.speak(sdpOf(bob.request("INVITE")));
    assert.equal(alice.speak(sdpOf(alice.response), at(PROXY, 7000)), undefined);
  });

  test("is heard from where its description says", () => {
    const world = new World();
    const alice = new Inside(new OuterProxy(world), "alice", "10.0.0.2");
    const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
    alice.register();
    bob.register();
    bob.ask(bob.invitation("alice"));
    alice.answer(200, { body: voiceSdp(`${PROXY}:7000`) });
    bob.send(bob.within(bob.response, "ACK"));
    bob.speak(sdpOf(bob.response));
    assert.ok(alice.speak(sdpOf(alice.request("INVITE")), at(PROXY, 7000)) !== undefined);
  });

  test("stays where it is when another phone behind it moves", () => {
    const world = new World();
    const proxy = new OuterProxy(world);
    const [alice, bob] = [new Inside(proxy, "alice", "10.0.0.2"), new Inside(proxy, "bob", "10.0.0.4")];
    for (const phone of [alice, bob]) phone.register();
    const carol = new Phone(world, "carol", { outside: "192.0.2.9" });
    carol.register();
    carol.ask(carol.invitation("alice"));
    alice.answer(200);
    carol.send(carol.within(carol.response, "ACK"));
    const { response } = carol;
    // Bob comes by another proxy from now on.
    const other = { ...proxy.flow, remote: at("198.51.100.201", 5060) };
    const moved = new OuterProxy(world);
    moved.flow = other;
    for (const one of [proxy, moved]) world.add(one);
    bob.proxy = moved;
    moved.phones.set(bob.contact, bob);
    bob.register();
    assert.ok(world.told("binding").includes("moved"), world.told("binding").join());
    carol.send(carol.within(response, "BYE"));
    assert.equal(alice.request("BYE").uriText, alice.contact);
  });
});
