import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { DEFAULT_EDGE_LIMITS } from "../../../src/core/edge/config.ts";
import { createResponse } from "../../../src/core/sip/message/build.ts";
import { heapUsed } from "../../fuzz/target.ts";
import { DOMAIN, EDGE, Phone, sdpOf, World } from "./world.ts";

function addressOf(n: number): string {
  return `198.51.${n >> 8}.${n & 255}`;
}

/** Messages from nowhere, as cheap as a flood makes them: the same text from every source. */
function flood(world: World, text: string, first: number, sources: number, each: number): void {
  const local = world.edgeAddress;
  for (let n = first; n < first + sources; n++) {
    const remote = { ...local, w3: 0xc6330000 + n, port: 1024 + n };
    const flow = { transport: "udp", connection: 0, local, remote } as const;
    for (let i = 0; i < each; i++) world.edge.handleText(text.replace("z9hG4bK", `z9hG4bK${n}-${i}`), flow, world.now);
    for (let output = world.edge.pollOutput(); output !== undefined; output = world.edge.pollOutput());
  }
}

/** What has neither password nor dialog, and what has made them up. */
function forged(method: string): string[] {
  const plain = [
    `${method} sip:bob@example.org SIP/2.0`,
    "Via: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bK;rport",
    "Max-Forwards: 70",
    "From: <sip:alice@example.org>;tag=x",
    "To: <sip:alice@example.org>",
    "Call-ID: flood",
    `CSeq: 1 ${method}`,
    "Content-Length: 0\r\n\r\n",
  ].join("\r\n");
  const name = method === "REGISTER" ? "Authorization" : "Proxy-Authorization";
  const digest = `username="alice", realm="${DOMAIN}", nonce="${"A".repeat(32)}", uri="sip:bob@example.org", qop=auth`;
  const credentials = `${name}: Digest ${digest}, nc=00000001, cnonce="c", response="${"0".repeat(32)}", algorithm=MD5`;
  return [
    plain,
    plain.replace("Content-Length", `${credentials}\r\nContent-Length`),
    plain.replace("To: <sip:alice@example.org>", `To: <sip:alice@example.org>;tag=y\r\nRoute: <sip:${EDGE};lr>`),
  ];
}

suite("floods", () => {
  for (const method of ["INVITE", "REGISTER"]) {
    test(`${method}s from 10,000 sources leave nothing behind, and 999 of 1,000 honest requests are served`, () => {
      const world = new World();
      const [rounds, sources] = [20, 10_000];
      const phones = Array.from({ length: 25 }, (_, n) => {
        const where = { outside: `192.0.2.${n}`, inside: `10.0.0.${n}` };
        return new Phone(world, `u${n}`, where);
      });
      let [asked, served] = [0, 0];
      const count = (isServed: boolean): void => {
        asked++;
        if (isServed) served++;
      };
      for (const phone of phones) phone.register();
      for (const text of forged(method)) flood(world, text, 0, 100, 1);
      const before = heapUsed();
      for (const text of forged(method)) flood(world, text, 0, sources, 1);
      const grown = heapUsed() - before;
      assert.ok(grown < 1 << 20, `${grown} bytes more`);
      for (let round = 0; round < rounds; round++) {
        for (const text of forged(method)) flood(world, text, round * 100, 100, 3);
        for (const [n, phone] of phones.entries()) {
          count(phone.register().status === 200);
          const callee = phones[(n + 1) % phones.length] as Phone;
          phone.ask(phone.invitation(callee.user));
          callee.answer(200);
          const { response } = phone;
          count(response.status === 200);
          if (response.status !== 200) continue;
          phone.send(phone.within(response, "ACK"));
          phone.send(phone.within(response, "BYE"));
          callee.send(createResponse(callee.request("BYE"), 200));
          for (const one of [phone, callee]) one.requests.length = one.responses.length = 0;
        }
        world.pass(1_000);
      }
      assert.equal(asked, 2 * rounds * phones.length);
      assert.ok(served >= asked * 0.999, `${served} of ${asked}`);
      assert.deepEqual(world.edge.calls(), []);
      world.pass(700_000);
      assert.equal(world.edge.pollTimeout(), undefined, "and nothing is kept that could end");
    });
  }

  test("RFC 3261 §21.5.4: a stranger over its budget hears nothing over UDP, and over TCP when to come back", () => {
    const world = new World({ limits: { ...DEFAULT_EDGE_LIMITS, strangersPerSecond: 1 } });
    const heard = (["udp", "tcp"] as const).map((transport, n) => {
      const phone = new Phone(world, "alice", { transport, outside: addressOf(n + 1) });
      for (let i = 0; i < 5; i++) phone.send(phone.registration());
      return phone.responses;
    });
    assert.deepEqual(
      heard.map((all) => all.map(({ status }) => status)),
      [
        [401, 401],
        [401, 401, 503, 503, 503],
      ],
    );
    for (const response of heard[1]?.slice(2) ?? []) {
      const seconds = Number(response.header("retry-after"));
      assert.ok(seconds >= 2 && seconds < 12, `${seconds}`);
    }
  });

  test("credentials that look right are looked up for so many at once, and no more", () => {
    const world = new World({ limits: { ...DEFAULT_EDGE_LIMITS, lookups: 10, strangersPerSecond: 1_000 } });
    const alice = new Phone(world, "alice", { outside: addressOf(1) });
    alice.send(alice.registration());
    let lookups = 0;
    for (let i = 0; i < 100; i++) {
      const guess = alice.registration();
      guess.headers.set("Authorization", alice.authorize(guess, `guess ${i}`));
      world.edge.handleText(guess.format(), alice.flow, world.now);
      for (let output = world.edge.pollOutput(); output !== undefined; output = world.edge.pollOutput()) {
        if (output.kind === "lookupKeys") lookups++;
      }
    }
    assert.equal(lookups, 10);
    assert.equal(world.edge.stats.refused.busy, 90);
  });

  test("with all transactions in use nobody gets another, and what is under way goes on", () => {
    const world = new World({ limits: { ...DEFAULT_EDGE_LIMITS, transactions: 6 } });
    const alice = new Phone(world, "alice", { outside: addressOf(1) });
    const bob = new Phone(world, "bob", { outside: addressOf(2) });
    for (const phone of [alice, bob]) {
      phone.register();
      world.pass(33_000);
    }
    for (let i = 0; i < 10; i++) alice.ask(alice.invitation("bob"));
    assert.ok(world.edge.stats.refused.busy > 0);
    const invite = bob.requests.find(({ method }) => method === "INVITE");
    assert.ok(invite);
    bob.send(createResponse(invite, 486, { toTag: "busy" }));
    assert.ok(alice.responses.some(({ status }) => status === 486));
  });
});

suite("headers that two readers would read in two ways", () => {
  test("are refused: a phone of ours hears 400, and nothing goes on", () => {
    const world = new World();
    const alice = new Phone(world, "alice", { outside: addressOf(1) });
    const bob = new Phone(world, "bob", { outside: addressOf(2) });
    for (const phone of [alice, bob]) phone.register();
    const honest = (): string => {
      alice.send(alice.invitation("bob"));
      const invite = alice.invitation("bob");
      invite.headers.set("Proxy-Authorization", alice.authorize(invite));
      return invite.format();
    };
    for (const [what, twisted] of [
      ["two From", honest().replace("From:", "From: <sip:carol@example.org>;tag=y\r\nf:")],
      ["two CSeq", honest().replace("CSeq:", "CSeq: 1 BYE\r\nCSeq:")],
      ["two lengths", honest().replace("Content-Length:", "l: 0\r\nContent-Length:")],
      ["a length beyond the body", honest().replace(/Content-Length: \d+/, "Content-Length: 9999")],
      ["a bare line feed", honest().replace("\r\nFrom:", "\nFrom:")],
    ] as const) {
      const [asked, got] = [bob.requests.length, alice.responses.length];
      world.deliver(twisted, alice.flow);
      assert.equal(bob.requests.length, asked, what);
      for (const { status } of alice.responses.slice(got)) assert.equal(status, 400, what);
    }
    world.deliver(honest(), alice.flow);
    assert.equal(bob.request("INVITE").from.uriText, "sip:alice@example.org", "what is plain goes on");
  });

  test("nothing of what a name says breaks out of it", () => {
    const world = new World();
    const alice = new Phone(world, "alice", { outside: addressOf(1) });
    const bob = new Phone(world, "bob", { outside: addressOf(2) });
    for (const phone of [alice, bob]) phone.register();
    const invite = alice.invitation("bob");
    const name = '"<script>alert(1)</script>\\", <sip:carol@example.org>"';
    invite.headers.set("From", `${name} <sip:alice@example.org>;tag=x`);
    invite.headers.set("User-Agent", "<script>alert(2)</script>");
    alice.ask(invite);
    assert.equal(bob.request("INVITE").header("from"), `${name} <sip:alice@example.org>;tag=x`);
    assert.equal(bob.request("INVITE").from.uriText, "sip:alice@example.org");
  });
});

suite("media of a call, from third addresses", () => {
  test("sprayed over every port at every time, none goes through, in either direction", () => {
    const world = new World();
    const alice = new Phone(world, "alice", { outside: addressOf(1) });
    const bob = new Phone(world, "bob", { outside: addressOf(2) });
    const mallory = new Phone(world, "carol", { outside: addressOf(66) });
    for (const phone of [alice, bob]) phone.register();
    const spray = (when: string): void => {
      for (const to of [...world.ports.values()]) {
        for (let i = 0; i < 10; i++) assert.equal(mallory.throwAt(to, i), undefined, when);
      }
    };
    alice.ask(alice.invitation("bob"));
    spray("while nobody has answered");
    bob.answer(200);
    spray("before anybody has spoken");
    alice.send(alice.within(alice.response, "ACK"));
    const [toAlice, toBob] = [sdpOf(alice.response), sdpOf(bob.request("INVITE"))];
    bob.speak(toBob);
    spray("when one has spoken");
    alice.speak(toAlice);
    bob.speak(toBob);
    spray("in the call");
    assert.ok(alice.speak(toAlice));
    world.pass(30_000);
    spray("in a pause");
    const report = world.edge.calls()[0]?.media;
    const strangers = report?.legs.flatMap(({ streams }) => streams.map(({ media }) => media.drops.stranger)) ?? [];
    assert.ok(
      strangers.every((count) => count >= 20),
      `${strangers}: the record names it`,
    );
  });
});

test("who has registered from another's address, and then from elsewhere, takes nothing of that one's calls along", () => {
  const world = new World();
  const place = { outside: "198.51.100.7", port: 41_000 };
  const alice = new Phone(world, "alice", place);
  const bob = new Phone(world, "bob", { outside: "192.0.2.9", inside: "192.168.1.5" });
  for (const phone of [alice, bob]) phone.register();
  alice.ask(alice.invitation("bob"));
  bob.answer(200);
  alice.send(alice.within(alice.response, "ACK"));
  const carol = new Phone(world, "carol", place);
  carol.register();
  carol.move("203.0.113.66", 6_666);
  assert.equal(carol.register().status, 200);
  world.add(alice);
  assert.equal(carol.speak(sdpOf(alice.response)), undefined);
  const before = carol.requests.length;
  bob.send(bob.within(bob.request("INVITE"), "INFO"));
  assert.deepEqual([carol.requests.length - before, alice.request("INFO").method], [0, "INFO"]);
});
