/** Two ends that exchange texts over a way that loses, doubles and reorders, on a virtual clock. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Address, formatAddress, parseIp } from "../../../src/core/base/address.ts";
import type { Instant } from "../../../src/core/base/machine.ts";
import { decodeFrame, encodeFrame } from "../../../src/core/rendezvous/frames.ts";
import { TextExchange } from "../../../src/core/rendezvous/text-exchange.ts";

const at = (ip: string): Address => parseIp(ip, 7)!;
const places = { first: at("192.0.2.1"), second: at("192.0.2.2"), third: at("192.0.2.3") };
type Name = keyof typeof places;

/** What becomes of one datagram: when each copy of it arrives; none: it is lost. */
type Fate = readonly number[];

class World {
  now = 0 as Instant;
  readonly ends: Map<Name, TextExchange> = new Map();
  readonly texts: Map<Name, string> = new Map();
  readonly events: string[] = [];
  readonly sent: { from: Name; frame: Uint8Array }[] = [];
  readonly #fate: (n: number) => Fate;
  readonly #flying: { at: number; to: Name; from: Name; frame: Uint8Array }[] = [];
  #ids = 0;

  constructor(texts: Partial<Record<Name, string>>, fate: (n: number) => Fate = () => [10]) {
    this.#fate = fate;
    for (const [name, text] of Object.entries(texts)) {
      const bytes = (length: number) => new Uint8Array(length).fill(++this.#ids);
      this.ends.set(name as Name, new TextExchange(text, { bytes }));
    }
  }

  open(name: Name): void {
    this.ends.get(name)!.open(places.first, this.now);
    this.drain(name);
  }

  deliver(to: Name, from: Name, frame: Uint8Array): void {
    this.ends.get(to)!.handleFrame(frame, places[from], this.now);
    this.drain(to);
  }

  drain(name: Name): void {
    const end = this.ends.get(name)!;
    for (let output = end.pollOutput(); output !== undefined; output = end.pollOutput()) {
      if (output.kind === "text") this.texts.set(name, output.text);
      if (output.kind !== "send") this.events.push(`${name} ${output.kind}`);
      else this.#fly(name, output);
    }
  }

  run(until: number): void {
    for (;;) {
      this.#flying.sort((a, b) => a.at - b.at);
      const due = [...this.ends.values()].map((end) => end.pollTimeout() ?? Number.POSITIVE_INFINITY);
      const next = Math.min(this.#flying[0]?.at ?? Number.POSITIVE_INFINITY, ...due);
      if (next > until) return;
      this.now = Math.max(next, this.now) as Instant;
      if (this.#flying[0] !== undefined && this.#flying[0].at <= this.now) {
        const { to, from, frame } = this.#flying.shift()!;
        this.deliver(to, from, frame);
      } else {
        for (const [name, end] of this.ends) {
          end.handleTimeout(this.now);
          this.drain(name);
        }
      }
    }
  }

  #fly(from: Name, { to, frame }: { to: Readonly<Address>; frame: Uint8Array }): void {
    const target = (Object.keys(places) as Name[]).find((one) => formatAddress(places[one]) === formatAddress(to))!;
    for (const delay of this.#fate(this.sent.length)) {
      this.#flying.push({ at: this.now + delay, to: target, from, frame });
    }
    this.sent.push({ from, frame });
  }
}

const long = "a=candidate:1 1 udp 2130706431 192.0.2.10 40000 typ host\r\n".repeat(60);

describe("exchanges of texts", () => {
  test("each end has the other's text, and knows when its own is there", () => {
    const world = new World({ first: "one", second: long });
    world.open("second");
    world.run(60_000);
    assert.deepEqual([...world.texts].sort(), [
      ["first", long],
      ["second", "one"],
    ]);
    assert.deepEqual(world.events.filter((one) => one.endsWith("done")).sort(), ["first done", "second done"]);
    // Four parts one way, one the other, and their acknowledgements: nothing twice.
    assert.equal(world.sent.length, 10);
  });

  test("whatever is lost, doubled and reordered, both texts arrive whole, once", () => {
    const fates = fc.array(fc.array(fc.nat({ max: 3_000 }), { maxLength: 3 }), { maxLength: 60 });
    const texts = fc.oneof(fc.string({ unit: "grapheme", maxLength: 40 }), fc.constant(long), fc.constant(""));
    fc.assert(
      fc.property(fates, texts, texts, fc.boolean(), (fate, first, second, both) => {
        const world = new World({ first, second }, (n) => fate[n] ?? [10]);
        world.open("second");
        if (both) {
          world.ends.get("first")!.open(places.second, world.now);
          world.drain("first");
        }
        world.run(120_000);
        assert.deepEqual([world.texts.get("first"), world.texts.get("second")], [second, first]);
        const told = ["first done", "first text", "second done", "second text"];
        assert.deepEqual(world.events.toSorted(), told);
      }),
      { numRuns: 300 },
    );
  });

  test("only what was lost is said again", () => {
    const world = new World({ first: "one", second: long }, (n) => (n === 2 ? [] : [10]));
    world.open("second");
    world.run(60_000);
    assert.equal(world.texts.get("first"), long);
    const parts = world.sent.filter(({ from, frame }) => from === "second" && decodeFrame(frame)?.kind === "part");
    assert.equal(parts.length, 5);
  });

  test("who waits says nothing before it is spoken to", () => {
    const world = new World({ first: "one" });
    world.run(600_000);
    assert.equal(world.sent.length, 0);
    assert.equal(world.ends.get("first")!.pollTimeout(), undefined);
  });

  test("nobody is there: it is asked again each second, no faster", () => {
    const world = new World({ first: "one", second: "two" }, () => []);
    world.open("second");
    world.run(20_000);
    assert.ok(world.sent.length >= 18 && world.sent.length <= 24, `${world.sent.length}`);
  });

  test("a second machine that comes is refused, before and after the exchange, and the first one is served", () => {
    const world = new World({ first: "one", second: long, third: "three" });
    world.open("second");
    world.run(15);
    world.open("third");
    world.run(60_000);
    assert.deepEqual(world.texts.get("first"), long);
    assert.equal(world.texts.get("third"), undefined);
    assert.ok(world.events.includes("third refused"));
    assert.equal(world.texts.get("second"), "one");
  });

  test("a refusal of whom we speak with already is nothing", () => {
    const world = new World({ first: "one", second: "two" });
    world.open("second");
    world.run(1_000);
    const [from, to] = ["01", "02"].map((id) => id.repeat(8));
    world.deliver("second", "third", encodeFrame({ kind: "refuse", from: from!, to: to! }));
    assert.ok(!world.events.includes("second refused"));
  });

  test("all frames once more, later, change nothing", () => {
    const world = new World({ first: "one", second: long });
    world.open("second");
    world.run(60_000);
    const events = [...world.events];
    for (const { from, frame } of [...world.sent]) world.deliver(from === "first" ? "second" : "first", from, frame);
    world.run(120_000);
    assert.deepEqual(world.events, events);
  });

  test("what one end says to another than this is nothing", () => {
    const world = new World({ first: "one", second: "two", third: "three" });
    const [second, other] = ["02".repeat(8), "09".repeat(8)];
    world.deliver("first", "second", encodeFrame({ kind: "ack", from: second, to: other, parts: 1 }));
    world.deliver("first", "second", encodeFrame({ kind: "refuse", from: second, to: other }));
    world.open("third");
    world.run(5_000);
    assert.deepEqual([world.texts.get("first"), world.texts.get("third")], ["three", "one"]);
    assert.deepEqual(
      world.events.filter((one) => one.endsWith("refused")),
      [],
    );
  });

  test("our own frames, reflected, are nothing", () => {
    const world = new World({ first: "one", second: "two" }, () => []);
    world.open("second");
    world.deliver("second", "second", world.sent[0]!.frame);
    assert.deepEqual([world.events, world.sent.length], [[], 1]);
  });

  test("any bytes are a frame or none, and no bytes make an end throw", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 1_100 }),
      fc.tuple(fc.constantFrom(1, 2, 3), fc.uint8Array({ minLength: 8, maxLength: 24 })).map(([kind, rest]) => {
        return Uint8Array.of(kind, ...rest);
      }),
    );
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 20 }), (all) => {
        const world = new World({ first: "one", second: "two" });
        for (const one of all) {
          const frame = decodeFrame(one);
          if (frame !== undefined) assert.deepEqual(encodeFrame(frame), one);
          world.deliver("first", "second", one);
        }
        assert.ok(world.sent.length <= 3 * all.length);
      }),
    );
  });

  test("a text that is too long is refused where it is given", () => {
    assert.throws(() => new World({ first: "x".repeat(16_001) }), { code: "text-too-long" });
  });
});
