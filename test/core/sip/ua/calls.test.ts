import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { T1 } from "../../../../src/core/sip/transaction/timers.ts";
import { nameOf, read, talk, World } from "./world.ts";

/** The times at which a message was sent. */
function timesOf(world: World, what: string): number[] {
  return world.sent.filter((line) => line.replace(/^\d+ \w+ /, "") === what).map((line) => Number.parseInt(line, 10));
}

suite("a call between two user agents", () => {
  test("RFC 3261 §13.2.1: is offered, rung, answered, acknowledged, and both know what was agreed", () => {
    const world = new World();
    world.alice.place();
    world.pass(1000);
    assert.deepEqual(world.alice.take(), ["progress 180", "answered", "agreed bob 1"]);
    assert.deepEqual(world.bob.take(), ["incoming alice 1", "confirmed"]);
    assert.deepEqual(world.take(), ["0 alice INVITE", "20 bob 180 INVITE", "20 bob 200 INVITE", "40 alice ACK"]);
    assert.deepEqual([world.alice.call.state, world.bob.call.state], ["confirmed", "confirmed"]);
  });

  for (const who of ["alice", "bob"] as const) {
    test(`RFC 3261 §15: ${who} hangs up, and nothing is left`, () => {
      const world = talk();
      world[who].do((ua, call, now) => ua.hangUp(call, now));
      world.pass(40_000);
      const [own, other] = who === "alice" ? [world.alice, world.bob] : [world.bob, world.alice];
      assert.deepEqual([own.take(), other.take()], [["ended ended"], ["ended hung-up"]]);
      assert.deepEqual(world.take().length, 2);
      for (const { ua, transactions, next } of [own, other]) {
        assert.deepEqual([ua.calls.size, transactions.size, next], [0, 0, undefined]);
      }
    });
  }

  test("RFC 3261 §13.2.1: the offer comes in the 2xx, and its answer in the ACK", () => {
    const world = new World();
    world.alice.place(false);
    world.pass(1000);
    assert.deepEqual(world.alice.take(), ["progress 180", "answered", "offered bob 1"]);
    assert.deepEqual(world.bob.take(), ["incoming nothing", "confirmed", "agreed alice 1"]);
    assert.equal(world.lastRequest(world.alice, "ACK").body, "v=0 alice 1");
  });

  test("RFC 3261 §13.2.2.4: an ACK without the answer that it owes ends the call", () => {
    const world = new World();
    world.loses = (_from, name) => name === "ACK";
    world.alice.place(false);
    world.pass(100);
    const ack = world.lastRequest(world.alice, "ACK").copy();
    ack.setBody("");
    world.inject(world.bob, ack.format());
    world.pass(100);
    assert.deepEqual(world.bob.take(), ["incoming nothing", "confirmed", "ended no-answer"]);
    assert.deepEqual(timesOf(world, "BYE").length, 1);
  });

  test("RFC 3261 §13.2.2.4: an ACK with another number is for another INVITE", () => {
    const world = new World();
    world.loses = (_from, name) => name === "ACK";
    world.alice.place();
    world.pass(100);
    world.inject(
      world.bob,
      world
        .lastRequest(world.alice, "ACK")
        .format()
        .replace(/CSeq: \d+/, "CSeq: 9"),
    );
    world.pass(100);
    assert.equal(world.bob.call.state, "answered");
  });

  test("RFC 3261 §13.2.2.4: a lost ACK is sent again with every repetition of the 2xx", () => {
    const world = new World();
    let lost = 0;
    world.loses = (_from, name) => name === "ACK" && ++lost <= 3;
    world.alice.place();
    world.pass(40_000);
    assert.deepEqual(timesOf(world, "200 INVITE"), [20, 520, 1520, 3520]);
    assert.deepEqual(timesOf(world, "ACK"), [40, 540, 1540, 3540]);
    assert.deepEqual(world.bob.take(), ["incoming alice 1", "confirmed"]);
    assert.deepEqual(world.alice.take(), ["progress 180", "answered", "agreed bob 1"], "told once");
  });

  for (const transport of ["udp", "tcp"] as const) {
    test(`RFC 3261 §13.3.1.4: a 2xx is repeated from T1 to T2 over ${transport}; without an ACK BYE follows at 64 × T1`, () => {
      const world = new World({ transport });
      world.loses = (_from, name) => name === "ACK";
      world.alice.place();
      world.pass(64 * T1 + 100);
      const gaps = timesOf(world, "200 INVITE").map((time, i, all) => time - (all[i - 1] ?? time));
      assert.deepEqual(gaps, [0, 500, 1000, 2000, 4000, 4000, 4000, 4000, 4000, 4000, 4000]);
      assert.deepEqual(timesOf(world, "BYE"), [20 + 64 * T1]);
      assert.deepEqual(world.bob.take().at(-1), "ended unacknowledged");
      assert.deepEqual(world.alice.take().at(-1), "ended hung-up");
    });
  }

  test("RFC 3261 §13.3.1.4: a lost 2xx comes again", () => {
    const world = new World();
    let lost = 0;
    world.loses = (_from, name) => name === "200 INVITE" && ++lost === 1;
    world.alice.place();
    world.pass(1000);
    assert.deepEqual(world.alice.take(), ["progress 180", "answered", "agreed bob 1"]);
    assert.deepEqual(timesOf(world, "ACK"), [540]);
  });

  test("RFC 3261 §13.3.1.1: who rings for long says so every minute", () => {
    const world = new World();
    world.bob.answers = false;
    world.alice.place();
    world.pass(100);
    world.bob.do((ua, call, now) => ua.ring(call, undefined, now));
    world.pass(130_000);
    assert.deepEqual(timesOf(world, "180 INVITE"), [100, 60_100, 120_100]);
    world.bob.do((ua, call, now) => ua.answer(call, world.bob.says(), now));
    world.pass(130_000);
    assert.equal(timesOf(world, "180 INVITE").length, 3);
    assert.equal(world.alice.call.state, "confirmed");
  });

  test("RFC 3261 §13.2.1: media before the answer is told of, and counts when the 2xx says nothing", () => {
    const world = new World();
    world.bob.answers = false;
    world.alice.place();
    world.pass(100);
    world.bob.do((ua, call, now) => ua.ring(call, world.bob.says(), now));
    world.pass(100);
    assert.deepEqual(world.alice.take(), ["progress 183 bob 1"]);
    world.bob.do((ua, call, now) => ua.answer(call, world.bob.says(), now));
    world.pass(100);
    assert.deepEqual(world.alice.take(), ["answered", "agreed bob 1"], "the first answer counts");
  });

  test("refused", () => {
    const world = new World();
    world.bob.answers = false;
    world.alice.place();
    world.pass(100);
    world.bob.do((ua, call, now) => ua.refuse(call, 486, now));
    world.pass(40_000);
    assert.deepEqual(world.alice.take(), ["ended refused 486"]);
    assert.deepEqual(world.bob.take(), ["incoming alice 1", "ended ended"]);
    assert.deepEqual([world.alice.ua.calls.size, world.bob.ua.calls.size], [0, 0]);
  });

  test("nobody is there", () => {
    const world = new World();
    world.loses = () => true;
    world.alice.place();
    world.pass(40_000);
    assert.deepEqual(world.alice.take(), ["ended lost"]);
  });
});

suite("hanging up before the call has come about", () => {
  test("RFC 3261 §9.1: a CANCEL waits for the first provisional response, and 487 ends the call", () => {
    const world = new World();
    world.bob.answers = false;
    world.alice.place();
    world.alice.do((ua, call, now) => ua.hangUp(call, now));
    world.pass(100);
    assert.deepEqual(timesOf(world, "CANCEL"), []);
    world.bob.do((ua, call, now) => ua.ring(call, undefined, now));
    world.pass(100);
    assert.deepEqual(world.bob.take(), ["incoming alice 1", "ended cancelled"]);
    assert.deepEqual(world.alice.take(), ["ended ended"]);
    assert.deepEqual(nameOf(world.last(world.bob, "487 INVITE")), "487 INVITE");
  });

  test("RFC 3261 §15.1.1: a 2xx that crosses the CANCEL is acknowledged, and BYE follows", () => {
    const world = new World();
    world.bob.answers = false;
    world.alice.place();
    world.pass(100);
    world.bob.do((ua, call, now) => ua.ring(call, undefined, now));
    world.pass(100);
    world.alice.take();
    world.bob.do((ua, call, now) => ua.answer(call, world.bob.says(), now));
    world.alice.do((ua, call, now) => ua.hangUp(call, now));
    world.take();
    world.pass(100);
    assert.deepEqual(
      world.take().filter((line) => line.includes("alice")),
      ["220 alice ACK", "220 alice BYE"],
    );
    assert.deepEqual(world.alice.take(), ["ended ended"]);
    assert.deepEqual(world.bob.take(), ["incoming alice 1", "confirmed", "ended hung-up"]);
  });

  test("RFC 3261 §9.2: a CANCEL for what was answered is answered, and changes nothing", () => {
    const world = new World();
    world.loses = (_from, name) => name === "200 INVITE";
    world.alice.place();
    world.pass(100);
    world.alice.do((ua, call, now) => ua.hangUp(call, now));
    world.pass(100);
    assert.equal(nameOf(world.last(world.bob, "200 CANCEL")), "200 CANCEL");
    assert.equal(world.bob.call.state, "answered");
  });

  test("RFC 3261 §15: who only rings cannot hang up by BYE", () => {
    const world = new World();
    world.bob.answers = false;
    world.alice.place();
    world.pass(100);
    world.bob.do((ua, call, now) => ua.ring(call, undefined, now));
    world.pass(100);
    const bye = world.bob.call.dialog?.request("BYE");
    bye?.prependVia("SIP/2.0/UDP bob.example.com;branch=z9hG4bKearly");
    world.inject(world.alice, bye?.format() ?? "");
    world.pass(100);
    assert.equal(nameOf(world.last(world.alice, "481 BYE")), "481 BYE");
    assert.equal(world.alice.call.state, "ringing");
  });

  test("RFC 3261 §15: who has answered hangs up only when the ACK is there", () => {
    const world = new World();
    let lost = 0;
    world.loses = (_from, name) => name === "ACK" && ++lost === 1;
    world.alice.place();
    world.pass(100);
    world.bob.do((ua, call, now) => ua.hangUp(call, now));
    world.pass(100);
    assert.deepEqual(timesOf(world, "BYE"), []);
    world.pass(1000);
    assert.deepEqual(timesOf(world, "BYE"), [560]);
    assert.deepEqual(world.bob.take().at(-1), "ended ended");
  });
});

suite("several answers", () => {
  /** Bob's answer, as if another phone had given it. */
  function another(world: World, name: string): string {
    const found = world.messages.findLast(({ message }) => nameOf(message) === name);
    assert.ok(found);
    return found.text
      .replace(/(\r\nTo: [^\r]*;tag=)\w+/, "$1another")
      .replace("bob.example.com>", "other.example.com>");
  }

  test("RFC 3261 §13.2.2.4: the second 2xx is acknowledged and ended, again with each repetition", () => {
    const world = talk();
    world.inject(world.alice, another(world, "200 INVITE"));
    world.pass(100);
    const [ack, bye] = world.messages.slice(-2).map(({ message }) => message);
    assert.deepEqual(
      world
        .take()
        .map((line) => line.split(" ")[2])
        .slice(0, 2),
      ["ACK", "BYE"],
    );
    assert.deepEqual([ack?.toTag, bye?.toTag], ["another", "another"]);
    assert.ok(ack?.kind === "request" && ack.uriText === "sip:bob@other.example.com");
    world.pass(100);
    world.take();
    world.inject(world.alice, another(world, "200 INVITE"));
    world.pass(30);
    assert.deepEqual(
      world.take().map((line) => line.split(" ")[2]),
      ["ACK"],
    );
    assert.equal(world.alice.call.state, "confirmed", "the first goes on");
    assert.deepEqual(world.alice.take(), []);
  });

  test("RFC 3261 §8.2.2.2: the same INVITE by another way is 482", () => {
    const world = new World();
    world.bob.answers = false;
    world.alice.place();
    world.pass(100);
    const invite = world.messages[0]?.text ?? "";
    world.inject(world.bob, invite.replace(/branch=[^;]+/, "branch=z9hG4bKanother"));
    world.pass(100);
    assert.equal(nameOf(world.last(world.bob, "482 INVITE")), "482 INVITE");
    assert.equal(world.bob.calls.length, 1);
    world.bob.do((ua, call, now) => ua.refuse(call, 486, now));
    world.pass(40_000);
    world.inject(world.bob, invite.replace(/branch=[^;]+/, "branch=z9hG4bKlater"));
    world.pass(100);
    assert.equal(world.bob.calls.length, 2, "only as long as the first is there");
  });
});

suite("a network that loses messages", () => {
  test("200 calls with a third of all messages lost: both sides agree, and nothing is left", () => {
    const ends = new Map<string, number>();
    for (let seed = 1; seed <= 200; seed++) {
      const world = new World({ loss: 3, seed });
      world.alice.place();
      world.pass(5_000 + seed * 100);
      for (const agent of [world.alice, world.bob]) {
        const call = agent.calls.at(-1);
        if (call !== undefined && seed % 2 === Number(agent === world.alice))
          agent.do((ua, _, now) => ua.hangUp(call, now));
      }
      world.pass(200_000);
      world.alice.do((ua, call, now) => ua.hangUp(call, now));
      world.pass(200_000);
      for (const agent of [world.alice, world.bob]) {
        assert.ok(agent.log.filter((line) => line.startsWith("ended")).length <= agent.calls.length);
        assert.equal(agent.log.filter((line) => line.startsWith("agreed")).length <= 1, true);
        assert.deepEqual([agent.transactions.size, agent.next], [0, undefined], `seed ${seed}`);
      }
      assert.equal(world.alice.ua.calls.size, 0, `seed ${seed}: ${world.alice.log}`);
      const end = world.alice.log.at(-1) ?? "";
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
    assert.ok((ends.get("ended hung-up") ?? 0) > 50 && (ends.get("ended ended") ?? 0) > 50, JSON.stringify([...ends]));
  });
});

test("the parser reads all that an agent sends", () => {
  const world = talk();
  for (const { text } of world.messages) assert.equal(read(text).format(), text);
});
