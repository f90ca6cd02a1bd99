/** Who may have how much: transactions and calls of a user, a source, a connection and a trunk, and requests a second. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Prefix, parsePrefix } from "../../../src/core/base/prefix.ts";
import { DEFAULT_EDGE_LIMITS, type EdgeLimits, type Trunk } from "../../../src/core/edge/config.ts";
import type { EdgeRefusal } from "../../../src/core/edge/outputs.ts";
import { Quotas } from "../../../src/core/edge/quotas.ts";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import { at, Phone, World } from "./world.ts";

function withLimits(limits: Partial<EdgeLimits>, trunks: readonly Trunk[] = []): World {
  return new World({ limits: { ...DEFAULT_EDGE_LIMITS, strangersPerSecond: 1_000, ...limits }, trunks });
}

function trunkNamed(name: string, address: string, more: Partial<Trunk> = {}): Trunk {
  return {
    name,
    sources: [parsePrefix(`${address}/32`) as Prefix],
    media: [],
    target: { transport: "udp", address: at(address, 5060) },
    host: `sip.${name}.example`,
    prefixes: ["0"],
    users: "all",
    ...more,
  };
}

function gateway(world: World, outside: string): Phone {
  return new Phone(world, "gateway", { outside, port: 5060, inside: outside });
}

function registered(
  world: World,
  user: string,
  outside: string,
  more: Partial<ConstructorParameters<typeof Phone>[2]> = {},
) {
  const phone = new Phone(world, user, { outside, inside: outside, ...more });
  assert.equal(phone.register().status, 200);
  return phone;
}

/** The limits that were told of, each as often as it was. */
function limits(world: World): readonly (readonly [string, string | undefined])[] {
  return world.events.flatMap((event) => (event.type === "limited" ? [[event.limit, event.name] as const] : []));
}

function isCounted(world: World, why: EdgeRefusal, count: number): void {
  assert.equal(world.edge.stats.refused[why], count, why);
}

/** Refused, for that reason and no other, with words that say so and a time to come back. */
function isRefused(phone: Phone, status: number, words: string): void {
  const { response } = phone;
  assert.deepEqual([response.status, response.reason], [status, words]);
  assert.equal(response.header("reason"), `SIP;cause=${status};text="${words}"`);
  const seconds = Number(response.header("retry-after"));
  assert.ok(seconds >= 2 && seconds < 12, `${seconds}`);
}

suite("calls at once", () => {
  test("of a user: 486 says it, another user goes on, and a call that ends makes room", () => {
    const world = withLimits({ callsPer: { ...DEFAULT_EDGE_LIMITS.callsPer, user: 2 } });
    const alice = registered(world, "alice", "198.51.100.1");
    // From two phones, which are one user's.
    const other = registered(world, "alice", "198.51.100.2");
    const bob = registered(world, "bob", "192.0.2.1");
    const carol = registered(world, "carol", "192.0.2.2");
    alice.ask(alice.invitation("bob"));
    other.ask(other.invitation("bob"));
    alice.ask(alice.invitation("bob"));
    isRefused(alice, 486, "Too Many Calls of This User");
    isCounted(world, "user-calls", 1);
    assert.deepEqual(limits(world), [["user-calls", "alice"]]);
    assert.equal(world.edge.calls().length, 2);
    carol.ask(carol.invitation("bob"));
    assert.equal(world.edge.calls().length, 3);
    bob.send(createResponse(bob.request("INVITE"), 486, { toTag: "b" }));
    alice.ask(alice.invitation("bob"));
    isRefused(alice, 486, "Too Many Calls of This User");
    const invite = bob.requests.find(({ method }) => method === "INVITE") ?? assert.fail();
    bob.send(createResponse(invite, 486, { toTag: "b" }));
    alice.ask(alice.invitation("bob"));
    assert.equal(alice.response.status, 100, "the place is free again");
  });

  test("of a source, whoever calls from there", () => {
    const world = withLimits({ callsPer: { ...DEFAULT_EDGE_LIMITS.callsPer, source: 1 } });
    registered(world, "bob", "192.0.2.1");
    const alice = registered(world, "alice", "198.51.100.1");
    const carol = registered(world, "carol", "198.51.100.1", { port: 40_001 });
    const elsewhere = registered(world, "alice", "198.51.100.2");
    for (const phone of [alice, carol, elsewhere]) phone.ask(phone.invitation("bob"));
    isRefused(carol, 503, "Too Many Calls From Your Address");
    assert.deepEqual(
      [alice, elsewhere].map(({ response }) => response.status),
      [100, 100],
    );
    isCounted(world, "source-calls", 1);
  });

  test("of a connection, and not of the others at that address", () => {
    const world = withLimits({ callsPer: { ...DEFAULT_EDGE_LIMITS.callsPer, connection: 1 } });
    registered(world, "bob", "192.0.2.1");
    const alice = registered(world, "alice", "198.51.100.1", { transport: "tcp" });
    const other = registered(world, "alice", "198.51.100.1", { transport: "tcp", port: 40_001, inside: "10.0.0.3" });
    for (const phone of [alice, alice, other]) phone.ask(phone.invitation("bob"));
    isRefused(alice, 503, "Too Many Calls on This Connection");
    assert.equal(other.response.status, 100);
    isCounted(world, "connection-calls", 1);
  });

  test("of all: 503 says it", () => {
    const world = withLimits({ calls: 1 });
    const alice = registered(world, "alice", "198.51.100.1");
    registered(world, "bob", "192.0.2.1");
    for (let i = 0; i < 2; i++) alice.ask(alice.invitation("bob"));
    isRefused(alice, 503, "Too Many Calls");
    isCounted(world, "calls", 1);
  });

  test("through a trunk, both ways together; where it is full the next that may be dialed through takes the call", () => {
    const trunks = [trunkNamed("first", "198.18.0.5", { calls: 2 }), trunkNamed("second", "198.18.0.6", { calls: 1 })];
    const world = withLimits({}, trunks);
    const [first, second] = [gateway(world, "198.18.0.5"), gateway(world, "198.18.0.6")];
    const alice = registered(world, "alice", "198.51.100.1");
    registered(world, "bob", "192.0.2.1");
    first.send(first.invitation("bob"));
    alice.ask(alice.invitation("0123"));
    assert.equal(first.requests.length, 1);
    first.send(first.invitation("bob"));
    isRefused(first, 503, "Too Many Calls Through This Trunk");
    alice.ask(alice.invitation("0124"));
    assert.deepEqual([first.requests.length, second.requests.length], [1, 1]);
    alice.ask(alice.invitation("0125"));
    isRefused(alice, 503, "Too Many Calls Through This Trunk");
    isCounted(world, "trunk-calls", 2);
    assert.deepEqual(limits(world), [
      ["trunk-calls", "first"],
      ["trunk-calls", "alice"],
    ]);
    second.answer(486);
    alice.ask(alice.invitation("0126"));
    assert.equal(second.requests.filter(({ method }) => method === "INVITE").length, 2);
  });

  test("that trunk's own number is not asked of a user who dials in-house", () => {
    const world = withLimits({}, [trunkNamed("first", "198.18.0.5", { calls: 0 })]);
    const alice = registered(world, "alice", "198.51.100.1");
    registered(world, "bob", "192.0.2.1");
    alice.ask(alice.invitation("bob"));
    assert.equal(alice.response.status, 100);
  });
});

suite("transactions at once", () => {
  const per = DEFAULT_EDGE_LIMITS.transactionsPer;

  test("of a user, from wherever: 503 says it, others go on, and half a minute later there is room", () => {
    const world = withLimits({ transactionsPer: { ...per, user: 5 } });
    const phones = [1, 2].map((n) => registered(world, "alice", `198.51.100.${n}`)) as [Phone, Phone];
    const carol = registered(world, "carol", "198.51.100.9");
    // A registration is one of them, on UDP for 32 s.
    for (const phone of phones) assert.equal(phone.register().status, 200);
    assert.equal(phones[0].register().status, 200);
    phones[1].register();
    isRefused(phones[1], 503, "Too Many Requests of This User");
    isCounted(world, "user-transactions", 1);
    assert.deepEqual(limits(world), [["user-transactions", "alice"]]);
    assert.equal(carol.register().status, 200);
    world.pass(33_000);
    assert.equal(phones[1].register().status, 200);
  });

  test("of a source and of a connection", () => {
    const world = withLimits({ transactionsPer: { ...per, source: 3 } });
    const users = ["u1", "u2", "u3"].map((user, n) => registered(world, user, "198.51.100.1", { port: 40_000 + n }));
    users[0]?.register();
    isRefused(users[0] as Phone, 503, "Too Many Requests From Your Address");
    assert.equal(registered(world, "u4", "198.51.100.2").response.status, 200);

    const streams = withLimits({ transactionsPer: { ...per, connection: 2 } });
    const alice = registered(streams, "alice", "198.51.100.1", { transport: "tcp" });
    const bob = registered(streams, "bob", "192.0.2.1");
    // What was answered on a stream is over.
    streams.pass(1);
    for (let i = 0; i < 3; i++) alice.ask(alice.invitation("bob"));
    isRefused(alice, 503, "Too Many Requests on This Connection");
    bob.answer(486);
    isCounted(streams, "connection-transactions", 1);
  });

  test("that belong to a call have twice the room, so that calls end", () => {
    const world = withLimits({ transactionsPer: { ...per, user: 3 } });
    const alice = registered(world, "alice", "198.51.100.1");
    const bob = registered(world, "bob", "192.0.2.1");
    alice.ask(alice.invitation("bob"));
    bob.answer(200);
    const answer = alice.response;
    alice.send(alice.within(answer, "ACK"));
    alice.register();
    alice.register();
    isRefused(alice, 503, "Too Many Requests of This User");
    alice.send(alice.within(answer, "BYE"));
    assert.equal(bob.request("BYE").callId, answer.callId);
    assert.deepEqual(world.edge.calls().length, 1);
    bob.send(createResponse(bob.request("BYE"), 200));
    assert.deepEqual(world.edge.calls(), []);
  });

  test("of a source are those of an IPv4 address or of an IPv6 /56", () => {
    const quotas = new Quotas(DEFAULT_EDGE_LIMITS);
    const { flow } = new Phone(new World(), "alice", { outside: "198.51.100.1" });
    const accountAt = (ip: string) =>
      quotas.of({ user: undefined, trunk: undefined, flow: { ...flow, remote: at(ip, 1) } })[0];
    assert.equal(accountAt("2001:db8:1:200::1"), accountAt("2001:db8:1:2ff:8000::2"));
    assert.notEqual(accountAt("2001:db8:1:200::1"), accountAt("2001:db8:1:300::1"));
    assert.notEqual(accountAt("198.51.100.1"), accountAt("198.51.100.2"));
  });

  test("of owners that come and go leave no account behind", () => {
    const quotas = new Quotas(DEFAULT_EDGE_LIMITS);
    const { flow } = new Phone(new World(), "alice", { outside: "198.51.100.1" });
    for (let n = 0; n < 100_000; n++) {
      const remote = { ...flow.remote, w3: n };
      const accounts = quotas.of({ user: `u${n}`, trunk: undefined, flow: { ...flow, remote, connection: n } });
      for (const account of accounts) account.transactions++;
      // One in a thousand stays.
      if (n % 1_000 > 0) for (const account of accounts) account.transactions--;
    }
    assert.ok(quotas.size >= 3 * 99 && quotas.size < 2_000, `${quotas.size}`);
    const stayed = quotas.of({ user: "u1000", trunk: undefined, flow });
    assert.deepEqual(stayed.map(({ transactions }) => transactions).sort(), [0, 1]);
  });
});

suite("requests a second", () => {
  test("of a trunk: what is beyond is dropped, whatever its source; calls that there are go on, and other trunks", () => {
    const trunks = [
      trunkNamed("first", "198.18.0.5", { sources: [parsePrefix("198.18.0.0/24") as Prefix] }),
      trunkNamed("second", "198.19.0.6"),
    ];
    const world = withLimits({ trunkPerSecond: 10 }, trunks);
    const bob = registered(world, "bob", "192.0.2.1");
    const first = gateway(world, "198.18.0.5");
    first.send(first.invitation("bob"));
    bob.answer(200);
    const answer = first.response;
    first.send(first.within(answer, "ACK"));
    const before = world.edge.stats.refused["trunk-budget"];
    for (let n = 0; n < 1_000; n++) {
      const spoofed = { ...first.flow, remote: { ...first.flow.remote, w3: first.flow.remote.w3 - 5 + (n % 256) } };
      world.deliver(first.build("MESSAGE", "sip:nobody@example.org", headersOf("MESSAGE", n)).format(), spoofed);
    }
    const dropped = world.edge.stats.refused["trunk-budget"] - before;
    assert.ok(dropped >= 980 && dropped < 990, `${dropped}`);
    assert.deepEqual(limits(world)[0], ["trunk-budget", "first"]);
    const heard = first.responses.length;
    first.send(first.invitation("bob"));
    assert.equal(first.responses.length, heard);
    first.send(first.within(answer, "BYE"));
    assert.equal(bob.request("BYE").callId, answer.callId);
    const second = gateway(world, "198.19.0.6");
    second.send(second.invitation("bob"));
    assert.equal(second.response.status, 100);
    world.pass(1_000);
    first.send(first.invitation("bob"));
    assert.equal(first.response.status, 100);
  });

  test("of a source of phones are more than a stranger's, and bounded; what is malformed counts too", () => {
    const world = withLimits({ strangersPerSecond: 1, phonesPerSecond: 20 });
    const alice = registered(world, "alice", "198.51.100.1");
    for (let i = 0; i < 100; i++) alice.send(alice.registration());
    const challenges = alice.responses.length - 2;
    assert.ok(challenges >= 38 && challenges <= 40, `${challenges}`);
    isCounted(world, "over-budget", 100 - challenges);
    const broken = alice.registration().format().replace("Max-Forwards: 70", "Max-Forwards: many");
    const heard = alice.responses.length;
    world.deliver(broken, alice.flow);
    assert.equal(alice.responses.length, heard);
    world.pass(1_000);
    world.deliver(broken, alice.flow);
    assert.equal(alice.response.status, 400);
  });

  test("of who shows a nonce of ours are counted apart: who forges a phone's address does not keep it out", () => {
    const world = withLimits({ strangersPerSecond: 5 });
    const alice = new Phone(world, "alice", { outside: "198.51.100.1" });
    alice.send(alice.registration());
    const right = alice.registration();
    right.headers.set("Authorization", alice.authorize(right));
    const forger = new Phone(world, "bob", { outside: "198.51.100.1", port: 50_000 });
    for (let i = 0; i < 100; i++) forger.send(forger.registration());
    alice.send(right);
    assert.equal(alice.response.status, 200);
  });
});

function headersOf(method: string, n: number): readonly (readonly [string, string])[] {
  return [
    ["From", "<sip:100@198.18.0.5>;tag=t"],
    ["To", "<sip:nobody@example.org>"],
    ["Call-ID", `flood-${n}`],
    ["CSeq", `1 ${method}`],
  ];
}
