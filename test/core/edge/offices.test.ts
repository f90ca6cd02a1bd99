/** An office comes back after a power cut: hundreds of phones behind one address that all register at once. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { after, type Instant } from "../../../src/core/base/machine.ts";
import type { SipTransport } from "../../../src/core/sip/flow.ts";
import type { SipRequest } from "../../../src/core/sip/message/message.ts";
import { Phone, World } from "./world.ts";

/** RFC 3261 §17.1.2.2: timers E and F. */
const [T1, T2, LONGEST] = [500, 4_000, 32_000];
/** What phones wait that were told nothing at all. */
const GIVES_UP_FOR = 30_000;

const OFFICE = "198.51.100.1";

/** A phone as they are: it repeats itself over UDP, shows its password when asked, and waits for as long as it is told. */
class RealPhone extends Phone {
  isRegistered = false;
  sent = 0;
  /** When it does something by itself. */
  next: Instant | undefined;
  #asked: SipRequest | undefined;
  #since: Instant = 0 as Instant;
  #interval = T1;

  begin(now: Instant, request = this.registration()): void {
    this.#asked = request;
    this.#since = now;
    this.#interval = T1;
    this.#send(request, now);
  }

  override receive(text: string): void {
    const before = this.responses.length;
    super.receive(text);
    const [response] = this.responses.slice(before);
    const asked = this.#asked;
    if (response === undefined || asked === undefined || response.cseq.number !== asked.cseq.number) return;
    const { now } = this.world;
    this.#asked = undefined;
    this.next = undefined;
    if (response.status === 200) this.isRegistered = true;
    else if (response.status === 401) {
      const again = this.registration();
      again.headers.set("Authorization", this.authorize(again));
      this.begin(now, again);
    } else {
      assert.equal(response.status, 503);
      this.next = after(now, Number(response.header("retry-after")) * 1000);
    }
  }

  /** Its timer. */
  act(now: Instant): void {
    const request = this.#asked;
    if (request === undefined || this.flow.transport !== "udp") this.begin(now);
    else if (now - this.#since >= LONGEST) {
      this.#asked = undefined;
      this.next = after(now, GIVES_UP_FOR);
    } else {
      this.#interval = Math.min(this.#interval * 2, T2);
      this.#send(request, now);
    }
  }

  #send(request: SipRequest, now: Instant): void {
    this.sent++;
    // Over a stream it waits, for an answer or for the end.
    this.next = after(now, this.flow.transport === "udp" ? this.#interval : LONGEST);
    this.send(request);
  }
}

/** Milliseconds until all are registered, or undefined when after `within` some are not. */
function register(world: World, phones: readonly RealPhone[], within: number): number | undefined {
  const [start, step] = [world.now, 10];
  for (const phone of phones) phone.next ??= start;
  while (world.now - start < within) {
    for (const phone of phones) if (phone.next !== undefined && phone.next <= world.now) phone.act(world.now);
    if (phones.every(({ isRegistered }) => isRegistered)) return world.now - start;
    world.pass(step);
  }
  return undefined;
}

function office(world: World, count: number, transport: SipTransport, outside = OFFICE, first = 0): RealPhone[] {
  return Array.from({ length: count }, (_, i) => {
    const n = first + i;
    const where = { outside, port: 10_000 + n, inside: `10.0.${n >> 8}.${n & 255}`, transport };
    return new RealPhone(world, `u${n}`, where);
  });
}

suite("200 phones behind one address that begin in the same moment", () => {
  for (const [transport, within] of [
    ["udp", 5_000],
    ["tcp", 12_000],
    ["tls", 12_000],
  ] as const) {
    test(`are all registered within ${within / 1000} s over ${transport}`, () => {
      const world = new World();
      const phones = office(world, 200, transport);
      const took = register(world, phones, 120_000);
      assert.ok(took !== undefined && took <= within, `${took}`);
      assert.equal([...world.edge.bindings()].length, 200);
      // And nobody repeats itself for ever.
      assert.ok(
        phones.every(({ sent }) => sent <= 6),
        `${Math.max(...phones.map(({ sent }) => sent))}`,
      );
    });
  }
});

test("a thousand phones on all transports are registered within a minute, and a phone elsewhere at once", () => {
  const world = new World();
  const transports = ["udp", "tcp", "tls"] as const;
  const phones = transports.flatMap((transport, n) => office(world, 334, transport, OFFICE, 334 * n));
  for (const phone of phones) phone.begin(world.now);
  assert.equal(register(world, office(world, 1, "udp", "192.0.2.1", 2_000), 1_000), 0);
  const took = register(world, phones, 180_000);
  assert.ok(took !== undefined && took <= 60_000, `${took}`);
});
