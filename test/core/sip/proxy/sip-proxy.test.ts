import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { request } from "../transaction/world.ts";
import { CALLER, place, World } from "./world.ts";

suite("RFC 3261 §16.6: a request is forwarded", () => {
  test("with the place's URI, one hop less, our Via, Record-Route and Route on top, all else as it came", () => {
    const world = new World();
    const came = request("INVITE");
    const hop = place("b", { routes: ["<sip:r1;lr>", "<sip:r2;lr>"], recordRoute: ["<sip:x@us;lr>", "<sip:y@us;lr>"] });
    world.arrive(came, [[hop]]);
    assert.deepEqual(world.take(), ["caller 100", "b INVITE"]);
    const sent = world.got[0]?.message;
    assert.equal(sent?.uriText, "sip:b@10.0.0.2");
    assert.equal(sent?.maxForwards, 69);
    assert.equal(sent?.via.host, "proxy.example.org");
    assert.equal(sent?.list("via").length, 2);
    assert.equal(sent?.list("via")[1], came.list("via")[0]);
    assert.deepEqual(sent?.list("record-route"), ["<sip:x@us;lr>", "<sip:y@us;lr>"]);
    assert.deepEqual(sent?.list("route"), ["<sip:r1;lr>", "<sip:r2;lr>", "<sip:proxy.example.org;lr>"]);
    for (const name of ["from", "to", "call-id", "cseq"]) assert.equal(sent?.header(name), came.header(name));
  });

  test("what has no Max-Forwards gets 70", () => {
    const world = new World();
    const came = request("INVITE");
    came.headers.remove("Max-Forwards");
    world.arrive(came, [[place("b")]]);
    assert.equal(world.got[0]?.message.maxForwards, 70);
  });

  test("RFC 5393 §4.2.1: what comes back just as it went is a loop, with another Request-URI it is not", () => {
    const world = new World();
    world.arrive(request("INVITE"), [[place("b")]]);
    const sent = world.got[0]?.message;
    assert.ok(sent);
    const back = request("INVITE", { branch: "z9hG4bKback" });
    for (const via of sent.list("via").toReversed()) back.prependVia(via);
    back.prependVia("SIP/2.0/UDP 198.51.100.98;branch=z9hG4bKother");
    const other = back.copy();
    other.removeTopVia();
    other.prependVia("SIP/2.0/UDP 198.51.100.98;branch=z9hG4bKother2");
    other.replaceUri("sip:another@example.org");
    world.take();
    world.arrive(back, [[place("b")]]);
    assert.deepEqual(world.take(), ["caller 100", "caller 482", "over b", "over all"]);
    world.arrive(other, [[place("b")]]);
    assert.deepEqual(world.take(), ["caller 100", "b INVITE"]);
  });
});

suite("RFC 3261 §16.7: answers", () => {
  test("go back without our Via; a 100 does not", () => {
    const world = new World();
    world.call([[place("b")]]);
    world.take();
    for (const status of [100, 180, 183, 200]) world.answer("b", status);
    assert.deepEqual(world.take(), ["caller 180", "caller 183", "caller 200", "over all"]);
    assert.ok(world.answers.every((one) => one.list("via").length === 1 && one.via.host === "10.0.0.2"));
    assert.equal(world.proxy.size, 0);
  });

  test("§16.7 step 10: when one has answered the others are told at once, and what they say then goes nowhere", () => {
    const world = new World();
    world.call([[place("b"), place("d"), place("e")]]);
    for (const name of ["b", "d"]) world.answer(name, 180);
    world.take();
    world.answer("d", 200);
    assert.deepEqual(world.take(), ["caller 200", "b CANCEL"]);
    world.answer("b", 200, { method: "CANCEL" });
    world.answer("b", 487);
    world.answer("e", 180);
    assert.deepEqual(world.take(), ["b ACK", "over b", "e CANCEL"]);
    world.answer("e", 487);
    assert.deepEqual(world.take(), ["e ACK", "over e", "over all"]);
  });

  test("§16.7 step 10: what a phone holds that says nothing to its CANCEL is free a second later", () => {
    const world = new World();
    world.call([[place("b"), place("d")]]);
    for (const name of ["b", "d"]) world.answer(name, 180);
    world.answer("d", 200);
    world.take();
    world.pass(999);
    assert.ok(!world.take().includes("over b"));
    world.pass(1);
    assert.deepEqual(world.take(), ["over b"]);
    world.answer("b", 200);
    assert.deepEqual(world.take(), ["caller 200", "over all"]);
    assert.equal(world.answers.at(-1)?.toTag, "b");
  });

  test("§16.7 step 5: a second 2xx is given back too, and so is one that comes again", () => {
    const world = new World();
    world.call([[place("b"), place("d")]]);
    world.answer("b", 180);
    world.answer("d", 200);
    world.take();
    world.answer("d", 200);
    world.answer("b", 200);
    assert.deepEqual(world.take(), ["caller 200", "caller 200", "over all"]);
    assert.deepEqual(
      world.answers.slice(-2).map(({ toTag }) => toTag),
      ["d", "b"],
    );
  });

  test("§16.7 step 6: of refusals the one is given back that tells most, when all have come", () => {
    const cases: readonly (readonly [readonly number[], number])[] = [
      [[486, 404], 486],
      [[404, 484], 484],
      [[408, 500], 408],
      [[500, 486], 486],
      [[486, 302], 302],
      [[486, 603], 603],
      [[408, 480], 480],
      [[503, 503], 500],
    ];
    for (const [[first = 0, second = 0], expected] of cases) {
      const world = new World();
      world.call([[place("b"), place("d")]]);
      world.answer("b", 180);
      world.answer("d", 180);
      world.take();
      world.answer("b", first);
      if (first < 600) world.answer("d", second);
      assert.equal(world.answers.at(-1)?.status, expected, `${first}, ${second}`);
      assert.equal(world.proxy.size, 0);
    }
  });

  test("§16.7 step 5: a 6xx ends the others", () => {
    const world = new World();
    world.call([[place("b"), place("d")], [place("e")]]);
    world.answer("d", 180);
    world.take();
    world.answer("b", 603);
    assert.deepEqual(world.take(), ["b ACK", "d CANCEL", "over b"]);
    world.answer("d", 487);
    assert.deepEqual(world.take(), ["d ACK", "caller 603", "over d", "over all"]);
  });

  test("§16.7 step 5: who answers while a 6xx ends it has answered", () => {
    const world = new World();
    world.call([[place("b"), place("d")]]);
    for (const name of ["b", "d"]) world.answer(name, 180);
    world.answer("b", 603);
    world.take();
    world.answer("d", 200);
    assert.deepEqual(world.take(), ["caller 200", "over all"]);
  });

  test("§16.7 step 7: nobody who is called gets the caller's password to guess from", () => {
    for (const [method, status] of [
      ["INVITE", 401],
      ["INVITE", 407],
      ["BYE", 401],
      ["MESSAGE", 407],
    ] as const) {
      const world = new World();
      world.call([[place("b")]], method);
      world.answer("b", status, { method, headers: [["WWW-Authenticate", 'Digest realm="x", nonce="y"']] });
      assert.deepEqual(
        [world.answers.at(-1)?.status, world.answers.at(-1)?.header("www-authenticate")],
        [403, undefined],
      );
    }
  });

  test("a group of places is tried when all of the one before have refused", () => {
    const world = new World();
    world.call([[place("b"), place("d")], [place("e")]]);
    world.answer("b", 486);
    world.take();
    world.answer("d", 404);
    assert.deepEqual(world.take(), ["d ACK", "over d", "e INVITE"]);
    world.answer("e", 200);
    assert.deepEqual(world.take(), ["caller 200", "over all"]);
  });

  test("a place that never answers counts as 408, one that cannot be reached as 500", () => {
    const world = new World();
    world.call([[place("b")]]);
    world.pass(32_000);
    assert.equal(world.answers.at(-1)?.status, 408);
    world.arrive(request("INVITE", { branch: "z9hG4bK2" }), [[place("d")]]);
    assert.ok(world.lastSent);
    world.transactions.handleSendFailed(world.lastSent);
    world.drain();
    assert.equal(world.answers.at(-1)?.status, 500);
  });

  test("nowhere to go is 480", () => {
    const world = new World();
    world.call([]);
    assert.deepEqual(world.take(), ["caller 100", "caller 480", "over all"]);
  });
});

suite("RFC 3261 §16.8, §16.10: ends before an answer", () => {
  test("§16.8: who rings for three minutes is cancelled", () => {
    const world = new World();
    world.call([[place("b")]]);
    world.answer("b", 180);
    world.pass(100_000);
    world.answer("b", 180);
    world.take();
    world.pass(180_999);
    assert.deepEqual(world.take(), []);
    world.pass(1);
    assert.deepEqual(world.take(), ["b CANCEL"]);
    world.answer("b", 487);
    // Nobody has hung up.
    assert.deepEqual(world.take(), ["b ACK", "caller 408", "over b", "over all"]);
  });

  test("§16.7 step 2: a 100 does not begin timer C anew", () => {
    const world = new World();
    world.call([[place("b")]]);
    world.answer("b", 180);
    world.pass(100_000);
    world.answer("b", 100);
    world.take();
    world.pass(81_000);
    assert.deepEqual(world.take(), ["b CANCEL"]);
  });

  test("§16.7: who has rung for its time gives way to the next, and may still answer", () => {
    const world = new World();
    const ringsFor = 20_000;
    world.call([[place("b", { ringsFor })], [place("d", { ringsFor })], [place("e", { ringsFor })]]);
    world.answer("b", 180);
    world.pass(10_000);
    world.answer("b", 180);
    world.take();
    world.pass(9_999);
    assert.deepEqual(world.take(), []);
    world.pass(1);
    assert.deepEqual(world.take(), ["b CANCEL"]);
    world.answer("b", 487);
    assert.deepEqual(world.take(), ["b ACK", "over b", "d INVITE"]);
    // One that says nothing at all is waited for no longer.
    world.pass(20_999);
    assert.ok(!world.take().includes("e INVITE"));
    world.pass(1);
    assert.deepEqual(world.take().slice(-2), ["over d", "e INVITE"]);
    world.answer("e", 180);
    world.take();
    world.answer("d", 180);
    assert.deepEqual(world.take(), ["d CANCEL"]);
    world.answer("d", 200);
    assert.deepEqual(world.take(), ["caller 200", "e CANCEL"]);
    world.answer("e", 487);
    assert.deepEqual(world.take(), ["e ACK", "over e", "over all"]);
  });

  test("§16.7: the last rings for as long as any", () => {
    const world = new World();
    world.call([[place("b", { ringsFor: 20_000 })]]);
    world.answer("b", 180);
    world.take();
    world.pass(180_999);
    assert.deepEqual(world.take(), []);
  });

  test("§16.10: when the caller hangs up all who ring are cancelled, and nobody else is tried", () => {
    const world = new World();
    const invite = world.call([[place("b"), place("d")], [place("e")]]);
    for (const name of ["b", "d"]) world.answer(name, 180);
    world.take();
    world.cancel(invite);
    assert.deepEqual(world.take(), ["b CANCEL", "d CANCEL"]);
    world.answer("b", 180);
    assert.deepEqual(world.take(), []);
    world.answer("b", 487);
    world.answer("d", 487);
    assert.deepEqual(world.take(), ["b ACK", "over b", "d ACK", "caller 487", "over d", "over all"]);
    world.cancel(invite);
    assert.deepEqual(world.take(), []);
  });

  test("§16.10: who has hung up hears that, whatever the phones say", () => {
    const world = new World();
    const invite = world.call([[place("b"), place("d")]]);
    for (const name of ["b", "d"]) world.answer(name, 180);
    world.answer("b", 486);
    world.cancel(invite);
    world.answer("d", 486);
    assert.equal(world.answers.at(-1)?.status, 487);
  });

  test("§9.1: a phone that has not said anything yet is told when it does; what it answers counts", () => {
    const world = new World();
    const invite = world.call([[place("b"), place("d")]]);
    world.cancel(invite);
    assert.ok(!world.take().some((what) => what.endsWith("CANCEL")));
    world.answer("b", 100);
    world.answer("d", 200);
    assert.deepEqual(world.take(), ["b CANCEL", "caller 200"]);
    world.answer("b", 487);
    assert.deepEqual(world.take(), ["b ACK", "over b", "over all"]);
  });

  test("who answers while the caller hangs up has answered", () => {
    const world = new World();
    const invite = world.call([[place("b")]]);
    world.answer("b", 180);
    world.cancel(invite);
    world.take();
    world.answer("b", 200);
    assert.deepEqual(world.take(), ["caller 200", "over all"]);
  });
});

suite("other requests", () => {
  test("are forwarded and answered, without 100 and without CANCEL", () => {
    const world = new World();
    world.call([[place("b"), place("d")]], "MESSAGE");
    assert.deepEqual(world.take(), ["b MESSAGE", "d MESSAGE"]);
    world.answer("b", 200, { method: "MESSAGE" });
    assert.deepEqual(world.take(), ["caller 200"]);
    world.answer("d", 200, { method: "MESSAGE" });
    assert.deepEqual(world.take(), ["over all"]);
  });

  test("RFC 4320 §4.1: one that takes long gets 100 when its sender's timer E is at T2, and not before", () => {
    const world = new World();
    world.call([[place("b")]], "MESSAGE");
    world.pass(3_499);
    assert.ok(world.take().every((what) => !what.startsWith("caller")));
    world.pass(1);
    assert.ok(world.take().includes("caller 100"));
    world.answer("b", 183, { method: "MESSAGE" });
    world.answer("b", 200, { method: "MESSAGE" });
    assert.deepEqual(world.take(), ["caller 200", "over all"]);
    world.pass(60_000);
    assert.deepEqual(world.take(), []);
  });

  test("RFC 4320 §4.2: one that nobody answers gets no 408, and neither does one that is answered so", () => {
    for (const isTold of [false, true]) {
      const world = new World();
      const { request } = world.call([[place("b")]], "MESSAGE");
      if (isTold) world.answer("b", 408, { method: "MESSAGE" });
      world.take();
      world.transactions.handleRequest(request, CALLER, world.now);
      world.pass(65_000);
      assert.deepEqual(
        world.take().filter((what) => what.startsWith("caller")),
        isTold ? [] : ["caller 100"],
      );
      assert.equal(world.proxy.size, 0);
      assert.equal(world.transactions.size, 0);
    }
  });
});

suite("messages are handed over before they go on", () => {
  test("a request that is held is not sent; it goes as it was changed", () => {
    const world = new World();
    world.isHolding = true;
    world.call([[place("b")]]);
    assert.deepEqual(world.take(), ["caller 100"]);
    const [carriage] = world.held;
    assert.ok(carriage?.kind === "request");
    assert.equal(carriage.branch.fork.owner, "owner");
    carriage.message.setBody("v=0\r\n", "application/sdp");
    world.isHolding = false;
    world.proxy.handleCarried(carriage, undefined, world.now);
    world.drain();
    assert.equal(world.got[0]?.message.body, "v=0\r\n");
  });

  test("one that is refused ends its branch; a response that is refused too", () => {
    const world = new World();
    world.isHolding = true;
    world.call([[place("b")]]);
    for (const carriage of world.held) world.proxy.handleCarried(carriage, 488, world.now);
    world.drain();
    assert.deepEqual(world.take(), ["caller 100", "caller 488", "over b", "over all"]);
  });

  test("one that is held when the caller hangs up is never sent", () => {
    const world = new World();
    world.isHolding = true;
    const invite = world.call([[place("b")]]);
    world.cancel(invite);
    for (const carriage of world.held) world.proxy.handleCarried(carriage, undefined, world.now);
    world.drain();
    assert.deepEqual(world.take(), ["caller 100", "over b", "caller 487", "over all"]);
    assert.equal(world.got.length, 0);
  });
});

test("answers go to where the request came from", () => {
  const world = new World();
  const invite = world.call([[place("b")]]);
  assert.equal(invite.from, CALLER);
});
