/** RFC 3263 §4.3: when one server cannot be reached, the next; RFC 3261 §18.1.1: and over which transport; RFC 5393: to how many. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { SipTarget } from "../../../../src/core/sip/flow.ts";
import type { Hop } from "../../../../src/core/sip/proxy/hop.ts";
import { request } from "../transaction/world.ts";
import { place, World } from "./world.ts";

function servers(...names: readonly string[]): Hop[][] {
  return names.map((name, at) => [place(name, { speaksWithin: 6_000, isSpare: at > 0 })]);
}

function called(...names: readonly string[]): World {
  const world = new World();
  world.call(servers(...names));
  world.take();
  return world;
}

suite("RFC 3263 §4.3: the next server is tried", () => {
  test("when one says 503, and for how long it is away", () => {
    const world = called("b", "d");
    world.answer("b", 503, { headers: [["Retry-After", "120;duration=60 (repairs)"]] });
    assert.deepEqual(world.take(), ["b ACK", "over b", "d INVITE"]);
    assert.deepEqual(world.failures, ["b unavailable 120"]);
    world.answer("d", 200);
    assert.deepEqual(world.take(), ["caller 200", "over all"]);
  });

  test("when nothing could be sent to one", () => {
    const world = called("b", "d");
    assert.ok(world.lastSent);
    world.transactions.handleSendFailed(world.lastSent);
    world.drain();
    assert.deepEqual(world.take(), ["over b", "d INVITE"]);
    assert.deepEqual(world.failures, ["b transport"]);
  });

  test("when one says nothing for its time; the last has the usual 32 s", () => {
    const world = called("b", "d");
    world.pass(5_999);
    assert.ok(world.take().every((what) => what === "b INVITE"));
    world.pass(1);
    assert.deepEqual(world.take(), ["over b", "d INVITE"]);
    assert.deepEqual(world.failures, ["b timeout"]);
    world.pass(31_999);
    assert.equal(world.answers.length, 1);
    world.pass(1);
    assert.equal(world.answers.at(-1)?.status, 408);
  });

  test("not when it has said anything at all", () => {
    const world = called("b", "d");
    world.answer("b", 100);
    world.pass(180_000);
    assert.deepEqual(world.take(), []);
    world.answer("b", 200);
    assert.deepEqual(world.take(), ["caller 200", "over all"]);
  });

  test("not when one has refused: its word counts", () => {
    for (const status of [404, 486, 500, 603]) {
      const world = called("b", "d");
      world.answer("b", status);
      assert.deepEqual(world.take(), ["b ACK", `caller ${status}`, "over b", "over all"]);
      assert.deepEqual(world.failures, []);
    }
  });

  test("not when the caller has hung up", () => {
    const world = new World();
    const invite = world.call(servers("b", "d"));
    world.cancel(invite);
    world.pass(40_000);
    assert.ok(!world.got.some(({ place: where }) => where === "d"));
  });

  test("one that speaks too late hears a CANCEL, and nobody hears that it rings", () => {
    const world = called("b", "d");
    world.pass(6_000);
    world.take();
    world.answer("b", 180);
    assert.deepEqual(world.take(), ["b CANCEL"]);
    world.answer("b", 487);
    assert.deepEqual(world.take(), ["b ACK"]);
    world.answer("d", 180);
    assert.deepEqual(world.take(), ["caller 180"]);
  });

  test("one that answers too late has answered, as any phone of a fork", () => {
    const world = called("b", "d");
    world.pass(6_000);
    world.take();
    world.answer("b", 200);
    assert.deepEqual(world.take(), ["caller 200"]);
    world.answer("d", 180);
    assert.ok(world.take().includes("d CANCEL"));
  });

  test("for other requests, too", () => {
    const world = new World();
    world.call(servers("b", "d"), "MESSAGE");
    world.pass(6_000);
    assert.ok(world.take().includes("d MESSAGE"));
    world.answer("d", 202, { method: "MESSAGE" });
    assert.ok(world.take().includes("caller 202"));
  });

  test("when all have failed, the caller is told of the best", () => {
    const world = called("b", "d");
    world.answer("b", 503);
    world.answer("d", 503);
    assert.equal(world.answers.at(-1)?.status, 500);
  });
});

suite("RFC 3261 §18.1.1: what is too large for UDP", () => {
  const tcp: SipTarget = { transport: "tcp", address: place("t").to.local ?? assert.fail() };
  const hop = place("b", { overStream: { to: tcp, sentBy: "proxy.example.org:5060" } });

  function sent(body: string): World {
    const world = new World();
    const message = request("INVITE");
    if (body !== "") message.setBody(body, "application/sdp");
    world.arrive(message, [[hop]]);
    return world;
  }

  test("goes over a stream, and says so", () => {
    const world = sent("x".repeat(1_300));
    assert.equal(world.lastSent?.to, tcp);
    assert.equal(world.lastSent?.request.via.transport, "TCP");
  });

  test("is what has more than 1,300 bytes as it leaves", () => {
    const bare = sent("").lastSent?.text.length ?? assert.fail();
    for (let size = 1_200; size <= 1_350; size++) {
      const { lastSent } = sent("x".repeat(size - bare - 30));
      const length = lastSent?.text.length ?? 0;
      if (length > 1_300) assert.equal(lastSent?.to, tcp, `${length}`);
      if (length < 1_250) assert.equal(lastSent?.to, hop.to, `${length}`);
    }
  });

  test("goes by UDP where the stream is refused, as it was", () => {
    const world = sent("x".repeat(1_300));
    const first = world.lastSent ?? assert.fail();
    world.take();
    world.transactions.handleSendFailed(first);
    world.drain();
    assert.deepEqual(world.take(), ["b INVITE", "refused b"]);
    const second = world.lastSent ?? assert.fail();
    assert.deepEqual([second.to, second.request.via.transport], [hop.to, "UDP"]);
    assert.equal(second.request.list("via").length, 2);
    assert.notEqual(second.branch, first.branch);
    assert.deepEqual(world.failures, []);
    world.transactions.handleSendFailed(second);
    world.drain();
    assert.deepEqual(world.failures, ["b transport"]);
    assert.equal(world.answers.at(-1)?.status, 500);
  });

  test("is not sent again when the caller has hung up", () => {
    const world = new World();
    const message = request("INVITE");
    message.setBody("x".repeat(1_300), "application/sdp");
    const invite = world.arrive(message, [[hop]]);
    world.cancel(invite);
    world.take();
    world.transactions.handleSendFailed(world.lastSent ?? assert.fail());
    world.drain();
    assert.ok(!world.take().includes("b INVITE"));
    assert.equal(world.answers.at(-1)?.status, 487);
  });
});

suite("RFC 5393 §5.3.3: Max-Breadth", () => {
  function breadths(said: string | undefined, ...groups: readonly string[]): { shares: string[]; world: World } {
    const world = new World();
    const message = request("INVITE");
    if (said !== undefined) message.headers.set("Max-Breadth", said);
    world.arrive(
      message,
      groups.map((names) => [...names].map((name) => place(name))),
    );
    return { shares: world.got.map(({ message: { headers } }) => headers.values("max-breadth").join()), world };
  }

  test("is 60 where nobody has said it, and divided among those who ring at once", () => {
    assert.deepEqual(breadths(undefined, "b").shares, ["60"]);
    assert.deepEqual(breadths("nonsense", "b").shares, ["60"]);
    assert.deepEqual(breadths(undefined, "bde").shares, ["20", "20", "20"]);
    assert.deepEqual(breadths("7", "bd").shares, ["3", "3"]);
    assert.deepEqual(breadths("2", "bd").shares, ["1", "1"]);
  });

  test("is 440 where it is less than they are", () => {
    for (const [said, names] of [
      ["0", "b"],
      ["1", "bd"],
      ["2", "bde"],
    ] as const) {
      const { shares, world } = breadths(said, names);
      assert.deepEqual(shares, []);
      assert.deepEqual(world.take(), ["caller 100", "caller 440", "over all"]);
    }
  });

  test("may be used again when those before are over", () => {
    const { world } = breadths("1", "b", "d");
    world.answer("b", 486);
    assert.deepEqual(
      world.got
        .filter(({ message }) => message.method === "INVITE")
        .map(({ message }) => message.header("max-breadth")),
      ["1", "1"],
    );
  });
});
