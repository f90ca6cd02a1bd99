import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createRequest } from "../../../../src/core/sip/message/build.ts";
import type { ServerTransaction } from "../../../../src/core/sip/transaction/server.ts";
import { type Agent, nameOf, type Options, talk, World } from "./world.ts";

function offer(agent: Agent, method: "INVITE" | "UPDATE" = "INVITE"): void {
  agent.do((ua, call, now) => assert.equal(ua.offer(call, method, agent.says(), now), true));
}

suite("offers within a call", () => {
  for (const who of ["alice", "bob"] as const) {
    for (const method of ["INVITE", "UPDATE"] as const) {
      const clause = method === "INVITE" ? "RFC 3261 §14" : "RFC 3311 §5";
      test(`${clause}: ${who} holds and resumes by ${method}`, () => {
        const world = talk();
        const [own, other] = who === "alice" ? [world.alice, world.bob] : [world.bob, world.alice];
        for (const turn of [2, 3]) {
          offer(own, method);
          world.pass(100);
          assert.deepEqual([own.take(), other.take()], [[`agreed ${other.name} ${turn}`], [`offered ${who} ${turn}`]]);
        }
        world.pass(40_000);
        assert.deepEqual([own.call.state, other.call.state], ["confirmed", "confirmed"]);
        own.do((ua, call, now) => ua.hangUp(call, now));
        world.pass(40_000);
        assert.deepEqual(other.take(), ["ended hung-up"]);
      });
    }
  }

  test("RFC 3261 §14.1: an INVITE without an offer asks for one, and its ACK brings the answer", () => {
    const world = talk();
    world.alice.do((ua, call, now) => ua.offer(call, "INVITE", undefined, now));
    world.pass(100);
    assert.deepEqual(world.bob.take(), ["offered nothing", "agreed alice 2"]);
    assert.deepEqual(world.alice.take(), ["offered bob 2"]);
  });

  test("RFC 3261 §14.2: refused, and all goes on as before", () => {
    const world = talk();
    world.bob.answers = false;
    offer(world.alice);
    world.pass(100);
    world.bob.do((ua, call, now) => ua.refuse(call, 488, now));
    world.pass(40_000);
    assert.deepEqual(world.alice.take(), ["declined 488"]);
    assert.deepEqual([world.alice.call.state, world.bob.call.state], ["confirmed", "confirmed"]);
  });

  test("RFC 3261 §12.2.1.2: an INVITE within a call says where its sender is from now on", () => {
    const world = talk();
    offer(world.bob);
    world.pass(100);
    const invite = world.messages.findLast(({ message }) => nameOf(message) === "INVITE");
    const moved = (invite?.text ?? "").replace("<sip:bob@bob.example.com>", "<sip:bob@elsewhere.example.com>");
    const next = moved.replace(/CSeq: \d+/, "CSeq: 9").replace(/branch=[^;]+/, "branch=z9hG4bKmoved");
    world.inject(world.alice, next);
    // Nobody acknowledges the answer, so that BYE follows.
    world.pass(40_000);
    assert.equal(world.lastRequest(world.alice, "BYE").uriText, "sip:bob@elsewhere.example.com");
  });

  test("RFC 3261 §12.2.1.2: and so does the answer to one", () => {
    const world = talk();
    world.bob.isRaw = true;
    offer(world.alice);
    world.pass(100);
    const headers = [
      ["Contact", "<sip:bob@elsewhere.example.com>"],
      ["Content-Type", "application/sdp"],
    ] as const;
    world.bob.respond(world.bob.requests[0] as ServerTransaction, 200, { headers, body: "v=0 b" });
    world.pass(100);
    assert.equal(world.lastRequest(world.alice, "ACK").uriText, "sip:bob@elsewhere.example.com");
  });

  test("RFC 3261 §13.3.1.4: the answer to a later INVITE is repeated until its ACK, and without one ends the call", () => {
    const world = talk();
    world.loses = (_from, name) => name === "ACK";
    offer(world.alice);
    world.pass(40_000);
    assert.deepEqual(world.bob.take(), ["offered alice 2", "ended unacknowledged"]);
  });

  for (const status of [481, 408]) {
    test(`RFC 3261 §14.1: ${status} ends the call`, () => {
      const world = talk();
      world.bob.isRaw = true;
      offer(world.alice);
      world.pass(100);
      world.bob.respond(world.bob.requests[0] as ServerTransaction, status, {});
      world.pass(100);
      assert.deepEqual(world.alice.take(), ["ended lost"]);
      assert.equal(world.bob.requests[1]?.request.method, "BYE");
    });
  }

  test("RFC 3261 §14.1: no response at all ends the call", () => {
    const world = talk();
    world.loses = () => true;
    offer(world.alice);
    world.pass(40_000);
    assert.deepEqual(world.alice.take(), ["ended lost"]);
  });

  test("RFC 3261 §9: an INVITE within the call that is cancelled is withdrawn, and the call goes on", () => {
    const world = talk();
    world.bob.answers = false;
    offer(world.alice);
    world.pass(100);
    const invite = world.lastRequest(world.alice, "INVITE");
    const cancel = createRequest({
      method: "CANCEL",
      uri: invite.uriText,
      headers: [
        ["Via", invite.header("via") ?? ""],
        ["From", invite.header("from") ?? ""],
        ["To", invite.header("to") ?? ""],
        ["Call-ID", invite.callId],
        ["CSeq", `${invite.cseq.number} CANCEL`],
      ],
    });
    world.inject(world.bob, cancel.format());
    world.pass(100);
    assert.deepEqual(world.bob.take(), ["offered alice 2", "withdrawn"]);
    assert.deepEqual(world.alice.take(), ["declined 487"]);
    assert.equal(world.bob.call.state, "confirmed");
  });
});

suite("glare", () => {
  for (const method of ["INVITE", "UPDATE"] as const) {
    test(`RFC 3261 §14.1, RFC 3311 §5.2: ${method}s that cross are 491, and the callee may offer again before the caller`, () => {
      const again: Record<string, number[]> = { alice: [], bob: [] };
      for (let seed = 1; seed <= 20; seed++) {
        const world = talk({ seed });
        offer(world.alice, method);
        offer(world.bob, method);
        world.pass(100);
        assert.deepEqual(world.messages.filter(({ message }) => nameOf(message) === `491 ${method}`).length, 2);
        for (const agent of [world.alice, world.bob]) {
          while (!agent.log.includes("offer-again")) world.pass(10);
          again[agent.name]?.push(world.now);
        }
        assert.deepEqual([world.alice.take(), world.bob.take()], [["offer-again"], ["offer-again"]]);
        offer(world.bob, method);
        world.pass(100);
        assert.deepEqual(world.bob.take(), ["agreed alice 3"]);
        assert.deepEqual([world.alice.call.state, world.bob.call.state], ["confirmed", "confirmed"]);
      }
      assert.ok(
        again["alice"]?.every((time) => time >= 300 + 2_000 && time <= 300 + 4_200),
        `${again["alice"]}`,
      );
    });
  }

  test("RFC 3261 §14.1: no offer while another is under way", () => {
    const world = talk();
    offer(world.alice);
    assert.equal(world.alice.ua.offer(world.alice.call, "UPDATE", "v=0", world.now), false);
    world.bob.answers = false;
    world.pass(100);
    assert.equal(world.bob.ua.offer(world.bob.call, "INVITE", "v=0", world.now), false);
  });

  for (const method of ["INVITE", "UPDATE"]) {
    test(`RFC 3261 §14.2, RFC 3311 §5.2: ${method} before an earlier one is answered is 500 with Retry-After`, () => {
      const world = talk();
      world.bob.answers = false;
      offer(world.alice);
      world.pass(100);
      const first = world.messages.findLast(({ message }) => nameOf(message) === "INVITE")?.text ?? "";
      const second = first.replaceAll("INVITE", method).replace(/CSeq: \d+/, "CSeq: 9");
      world.inject(world.bob, second.replace(/branch=[^;]+/, "branch=z9hG4bKsecond"));
      world.pass(100);
      const response = world.last(world.bob, `500 ${method}`);
      assert.match(response.header("retry-after") ?? "", /^([0-9]|10)$/);
    });
  }
});

suite("requests that are to no call, or out of order", () => {
  function ask(
    world: World,
    method: string,
    toTag: string | undefined,
    more: readonly [string, string][] = [],
  ): string {
    const request = createRequest({
      method,
      uri: "sip:bob@bob.example.com",
      headers: [
        ["Via", `SIP/2.0/UDP alice.example.com;branch=z9hG4bK${method}${toTag}${more.length}`],
        ["Max-Forwards", "70"],
        ["From", "<sip:alice@example.com>;tag=f"],
        ["To", `<sip:bob@example.com>${toTag === undefined ? "" : `;tag=${toTag}`}`],
        ["Call-ID", "c"],
        ["CSeq", `1 ${method}`],
        ...more,
      ],
    });
    world.inject(world.bob, request.format());
    world.pass(100);
    const last = world.messages.findLast(({ from }) => from === world.bob);
    return last === undefined ? "nothing" : nameOf(last.message);
  }

  for (const method of ["BYE", "INVITE", "UPDATE", "OPTIONS"]) {
    test(`RFC 3261 §12.2.2: ${method} within a dialog that is not known is 481`, () => {
      assert.equal(ask(new World(), method, "unknown"), `481 ${method}`);
    });
  }

  test("RFC 3261 §12.2.2: a request that comes after a later one is 500", () => {
    const world = talk();
    offer(world.alice);
    world.pass(100);
    const bye = world.lastRequest(world.alice, "INVITE").format().replaceAll("INVITE", "BYE");
    world.inject(world.bob, bye.replace(/CSeq: \d+/, "CSeq: 1").replace(/branch=[^;]+/, "branch=z9hG4bKlate"));
    world.pass(100);
    assert.equal(nameOf(world.last(world.bob, "500 BYE")), "500 BYE");
    assert.equal(world.bob.call.state, "confirmed");
  });

  test("RFC 3261 §8.2, §11.2: OPTIONS is answered, what is not understood is refused", () => {
    const world = new World();
    assert.equal(ask(world, "OPTIONS", undefined), "200 OPTIONS");
    assert.match(world.last(world.bob, "200 OPTIONS").header("allow") ?? "", /INVITE.*UPDATE/);
    assert.equal(ask(world, "PRACK", undefined), "405 PRACK");
    assert.equal(ask(world, "INVITE", undefined, [["Require", "100rel"]]), "420 INVITE");
    assert.equal(ask(world, "INVITE", undefined), "400 INVITE", "without a Contact");
    assert.equal(ask(world, "BYE", undefined), "481 BYE");
    assert.equal(world.bob.ua.calls.size, 0);
  });
});

suite("challenges", () => {
  const account = { realm: "example.com", username: "alice", password: "secret" };
  const challenge = (realm = "example.com", more = "") => ({
    headers: [
      ["Proxy-Authenticate", `Digest realm="${realm}", nonce="n", qop="auth", algorithm=SHA-256${more}`],
    ] as const,
  });

  /** Alice calls, and the test answers. */
  function called(options: Options = { account }): readonly [World, () => ServerTransaction] {
    const world = new World(options);
    world.bob.isRaw = true;
    world.alice.place();
    world.pass(100);
    return [world, () => world.bob.requests.at(-1) as ServerTransaction];
  }

  test("RFC 3261 §22.2: are answered for the realm of the account, once, with the next CSeq", () => {
    const [world, last] = called();
    world.bob.respond(last(), 407, challenge());
    world.pass(100);
    const { request } = last();
    assert.match(request.header("proxy-authorization") ?? "", /username="alice".*uri="sip:bob@example.com"/);
    assert.deepEqual([request.cseq.number, world.bob.requests.length], [2, 2]);
    world.bob.respond(last(), 407, challenge());
    world.pass(100);
    assert.deepEqual(world.alice.take(), ["ended refused 407"]);
    assert.equal(world.bob.requests.length, 2);
  });

  test("RFC 3261 §22.4: once more where the nonce was too old", () => {
    const [world, last] = called();
    world.bob.respond(last(), 407, challenge());
    world.pass(100);
    world.bob.respond(last(), 407, challenge("example.com", ", stale=true"));
    world.pass(100);
    assert.equal(world.bob.requests.length, 3);
    for (let again = 0; again < 5; again++) {
      world.bob.respond(last(), 407, challenge("example.com", ", stale=true"));
      world.pass(100);
    }
    assert.equal(world.bob.requests.length, 4, "and not for ever");
  });

  for (const [what, realm, given] of [
    ["of another realm", "example.net", account],
    ["for who has no password", "example.com", undefined],
  ] as const) {
    test(`${what} are not answered`, () => {
      const [world, last] = called(given === undefined ? {} : { account: given });
      world.bob.respond(last(), 407, challenge(realm));
      world.pass(100);
      assert.deepEqual([world.alice.take(), world.bob.requests.length], [["ended refused 407"], 1]);
    });
  }

  test("RFC 3261 §22.1: the ACK has the credentials of its INVITE", () => {
    const [world, last] = called();
    world.bob.respond(last(), 407, challenge());
    world.pass(100);
    const body = {
      headers: [
        ["Contact", "<sip:bob@bob.example.com>"],
        ["Content-Type", "application/sdp"],
      ] as const,
      body: "v=0 b",
    };
    world.bob.respond(last(), 200, body);
    world.pass(100);
    const ack = world.lastRequest(world.alice, "ACK");
    assert.equal(ack.header("proxy-authorization"), last().request.header("proxy-authorization"));
    assert.deepEqual(world.alice.take(), ["answered", "agreed b"]);
    // Within a dialog that the same account began with a challenge.
    offer(world.alice);
    world.pass(100);
    world.bob.respond(last(), 407, challenge());
    world.pass(100);
    assert.deepEqual([last().request.method, last().request.cseq.number], ["INVITE", 4]);
    assert.ok(last().request.header("proxy-authorization"));
  });

  test("within a call that came to us are never answered: the caller could guess at the password with the answer", () => {
    const world = talk({ account });
    world.alice.isRaw = true;
    offer(world.bob);
    world.pass(100);
    world.alice.respond(world.alice.requests.at(-1) as ServerTransaction, 407, challenge());
    world.pass(1000);
    assert.deepEqual(world.bob.take(), ["declined 407"]);
    assert.equal(world.alice.requests.length, 1);
  });

  test("within a call that was never challenged before are not answered either", () => {
    const world = talk({ account });
    world.bob.isRaw = true;
    world.alice.do((ua, call, now) => ua.hangUp(call, now));
    world.pass(100);
    world.bob.respond(world.bob.requests.at(-1) as ServerTransaction, 407, challenge());
    world.pass(1000);
    assert.equal(world.bob.requests.length, 1);
  });
});
