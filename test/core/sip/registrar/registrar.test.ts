import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Address, parseIp } from "../../../../src/core/base/address.ts";
import { after, type Instant, type UnixSeconds } from "../../../../src/core/base/machine.ts";
import type { SipFlow, SipTransport } from "../../../../src/core/sip/flow.ts";
import type { SipResponse } from "../../../../src/core/sip/message/message.ts";
import { parseMessage } from "../../../../src/core/sip/message/parse.ts";
import type { BindingRecord } from "../../../../src/core/sip/registrar/binding.ts";
import { defaultRegistrarConfig, type RegistrarConfig } from "../../../../src/core/sip/registrar/config.ts";
import { Registrar, type RegistrarOutput } from "../../../../src/core/sip/registrar/registrar.ts";
import { SeededRandom } from "../../../support/crypto.ts";

const ALICE = "sip:alice@example.org";

interface Asked {
  readonly contacts?: readonly string[];
  readonly expires?: number;
  readonly cseq?: number;
  readonly callId?: string;
  readonly from?: SipFlow;
  readonly to?: string;
  readonly user?: string;
  readonly more?: readonly string[];
}

function flowFrom(text: string, transport: SipTransport = "udp", connection = 0): SipFlow {
  const [ip, port] = text.split(":") as [string, string];
  const local = parseIp("192.0.2.1", 5060) as Address;
  return { transport, local, remote: parseIp(ip, Number(port)) as Address, connection };
}

class World {
  readonly registrar: Registrar;
  now: Instant = 0 as Instant;
  #cseq = 0;

  constructor(config: Partial<RegistrarConfig> = {}, wall = 1_700_000_000) {
    const wallClock = { now: () => (wall + Math.floor(this.now / 1000)) as UnixSeconds };
    const ports = { random: new SeededRandom(1), wallClock };
    this.registrar = new Registrar({ domain: "example.org", ...defaultRegistrarConfig, ...config }, ports);
  }

  register(asked: Asked = {}): SipResponse {
    const {
      contacts = ["<sip:alice@10.0.0.2>"],
      cseq = ++this.#cseq,
      callId = "c",
      to = ALICE,
      user = "alice",
    } = asked;
    const text = [
      "REGISTER sip:example.org SIP/2.0",
      "Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1",
      `From: <${to}>;tag=f`,
      `To: <${to}>`,
      `Call-ID: ${callId}`,
      `CSeq: ${cseq} REGISTER`,
      ...contacts.map((contact) => `Contact: ${contact}`),
      ...(asked.expires === undefined ? [] : [`Expires: ${asked.expires}`]),
      ...(asked.more ?? []),
    ];
    const request = parseMessage(`${text.join("\r\n")}\r\n\r\n`);
    assert.ok(request.kind === "request", JSON.stringify(request));
    return this.registrar.handleRegister(request, asked.from ?? flowFrom("198.51.100.7:40000"), user, this.now);
  }

  contacts(aor = ALICE): string[] {
    return this.registrar.bindingsOf(aor).map(({ contact }) => contact);
  }

  drain(): RegistrarOutput[] {
    const outputs: RegistrarOutput[] = [];
    for (let one = this.registrar.pollOutput(); one !== undefined; one = this.registrar.pollOutput()) outputs.push(one);
    return outputs;
  }

  told(): string[] {
    return this.drain().map((one) => (one.kind === "binding" ? one.what : one.kind));
  }

  pass(ms: number): void {
    const until = after(this.now, ms);
    for (let next = this.registrar.pollTimeout(); next !== undefined && next <= until; ) {
      this.now = next;
      this.registrar.handleTimeout(next);
      next = this.registrar.pollTimeout();
    }
    this.now = until;
  }
}

suite("RFC 3261 §10.3: REGISTER", () => {
  test("a phone is bound to where its request came from, and its Contact is given back as it was given", () => {
    const world = new World();
    const contact = '"Alice" <sip:alice@10.0.0.2:5062;transport=udp;ob>;q=0.7;+sip.instance="<urn:uuid:1>"';
    const response = world.register({ contacts: [contact], expires: 120 });
    assert.equal(response.status, 200);
    assert.deepEqual(response.headers.values("contact"), [
      '<sip:alice@10.0.0.2:5062;transport=udp;ob>;q=0.7;+sip.instance="<urn:uuid:1>";expires=120',
    ]);
    assert.ok(response.toTag);
    const [binding] = world.registrar.bindingsOf(ALICE);
    assert.equal(binding?.contact, "sip:alice@10.0.0.2:5062;transport=udp;ob");
    assert.equal(binding?.flow.remote.port, 40_000);
    assert.deepEqual(world.told(), ["store", "registered"]);
  });

  test("without a Contact the bindings are told, and nothing is changed", () => {
    const world = new World();
    world.register();
    world.drain();
    const response = world.register({ contacts: [] });
    assert.equal(response.status, 200);
    assert.equal(response.list("contact").length, 1);
    assert.deepEqual(world.told(), []);
  });

  test("several contacts are bound, those first that the user likes best", () => {
    const world = new World();
    world.register({ contacts: ["<sip:a@10.0.0.2>;q=0.1, <sip:b@10.0.0.2>;q=0.9", "<sip:c@10.0.0.2>"] });
    assert.deepEqual(world.contacts(), ["sip:c@10.0.0.2", "sip:b@10.0.0.2", "sip:a@10.0.0.2"]);
  });

  test("a lifetime is the Contact's, else the request's, else the usual, and no longer than the longest", () => {
    const world = new World({ usual: 100, longest: 200 });
    const contacts = ["<sip:a@x>;expires=50", "<sip:b@x>", "<sip:c@x>;expires=5000", "<sip:d@x>;expires=junk"];
    const granted = (response: SipResponse) => response.list("contact").map((one) => one.replace(/.*expires=/, ""));
    assert.deepEqual(granted(world.register({ contacts, expires: 60 })), ["50", "60", "200", "60"]);
    assert.deepEqual(granted(new World({ usual: 100 }).register()), ["100"]);
  });

  test("less than the shortest is refused with 423 and what the shortest is, and changes nothing", () => {
    const world = new World({ shortest: 20 });
    const response = world.register({ contacts: ["<sip:a@x>", "<sip:b@x>;expires=19"] });
    assert.equal(response.status, 423);
    assert.equal(response.header("min-expires"), "20");
    assert.deepEqual(world.contacts(), []);
  });

  test("a binding ends when its time is over, and with Expires 0", () => {
    const world = new World();
    world.register({ expires: 60 });
    world.pass(59_999);
    assert.equal(world.contacts().length, 1);
    world.drain();
    world.pass(1);
    assert.deepEqual(world.contacts(), []);
    assert.deepEqual(world.told().slice(-2), ["forget", "expired"]);
    world.register();
    world.drain();
    assert.deepEqual(world.register({ expires: 0 }).list("contact"), []);
    assert.deepEqual(world.told(), ["forget", "removed"]);
    assert.equal(world.registrar.size, 0);
  });

  test('"*" with Expires 0 ends all, and is refused otherwise', () => {
    const world = new World();
    world.register({ contacts: ["<sip:a@x>, <sip:b@x>"] });
    assert.equal(world.register({ contacts: ["*"] }).status, 400);
    assert.equal(world.register({ contacts: ["*"], expires: 60 }).status, 400);
    assert.equal(world.contacts().length, 2);
    assert.equal(world.register({ contacts: ["*"], expires: 0 }).status, 200);
    assert.deepEqual(world.contacts(), []);
  });

  test("step 7: a request that a later one has overtaken changes nothing, neither this contact nor another", () => {
    const world = new World();
    world.register({ cseq: 5 });
    for (const cseq of [4, 5]) {
      const contacts = ["<sip:other@10.0.0.9>", "<sip:alice@10.0.0.2>;expires=0"];
      assert.equal(world.register({ cseq, contacts }).status, 500);
      assert.equal(world.register({ cseq, contacts: ["*"], expires: 0 }).status, 500);
    }
    assert.deepEqual(world.contacts(), ["sip:alice@10.0.0.2"]);
    assert.equal(world.register({ cseq: 1, callId: "another" }).status, 200);
  });

  test("contacts are compared as URIs are", () => {
    const world = new World();
    world.register({ contacts: ["<sip:alice@Host.EXAMPLE:5060>"] });
    world.register({ contacts: ["<sip:%61lice@host.example:5060>"], from: flowFrom("198.51.100.8:1") });
    assert.equal(world.contacts().length, 1);
    world.register({ contacts: ["<sip:alice@host.example>"], from: flowFrom("198.51.100.9:1") });
    assert.equal(world.contacts().length, 2, "with the usual port said and unsaid they differ");
  });

  test("nobody registers for somebody else, nor for another domain", () => {
    const world = new World();
    assert.equal(world.register({ user: "mallory" }).status, 403);
    assert.equal(world.register({ to: "sip:alice@elsewhere.example" }).status, 404);
    assert.equal(world.register({ to: "sip:example.org" }).status, 404);
    assert.equal(world.register({ to: "sip:ALICE@example.org" }).status, 403, "a user's case counts");
    assert.equal(world.register({ to: "sip:%61lice@EXAMPLE.org;transport=tcp" }).status, 200);
    assert.equal(world.register({ to: "sip:alice%40example.org@example.org" }).status, 404);
    assert.equal(world.registrar.size, 1);
  });

  test("what is no SIP URI, or comes twice, is refused", () => {
    const world = new World();
    assert.equal(world.register({ contacts: ["<tel:+1234>"] }).status, 400);
    assert.equal(world.register({ contacts: ["<sip:a@x>, <sip:a@X>"] }).status, 400);
    assert.equal(world.registrar.size, 0);
  });

  test("a user has so many phones at once, and all users together", () => {
    const world = new World({ bindingsPerUser: 2, bindings: 3 });
    const from = (n: number) => flowFrom(`198.51.100.${n}:5060`);
    for (const n of [1, 2]) assert.equal(world.register({ contacts: [`<sip:p${n}@x>`], from: from(n) }).status, 200);
    assert.equal(world.register({ contacts: ["<sip:p3@x>"], from: from(3) }).status, 403);
    assert.equal(world.register({ contacts: ["<sip:p2@x>"], from: from(2) }).status, 200, "one of them again");
    const bob = { to: "sip:bob@example.org", user: "bob" };
    assert.equal(world.register({ ...bob, contacts: ["<sip:p4@x>"], from: from(4) }).status, 200);
    assert.equal(world.register({ ...bob, contacts: ["<sip:p5@x>"], from: from(5) }).status, 503);
    assert.equal(world.registrar.size, 3);
  });

  test("RFC 3327 §5.3: the Path is kept in its order, and given back", () => {
    const world = new World();
    const path = ["<sip:p1.example.org;lr>", "<sip:p2.example.org;lr>"];
    const response = world.register({ more: path.map((one) => `Path: ${one}`) });
    assert.deepEqual(world.registrar.bindingsOf(ALICE)[0]?.path, path);
    assert.deepEqual(response.headers.values("path"), path);
  });
});

suite("a phone that moves", () => {
  test("the same Contact from another address is the same phone, and is reached there from now on", () => {
    const world = new World();
    world.register();
    world.drain();
    world.register({ from: flowFrom("203.0.113.5:1024") });
    assert.deepEqual(world.told(), ["store", "moved"]);
    assert.equal(world.registrar.bindingsOf(ALICE)[0]?.flow.remote.port, 1024);
    assert.equal(world.registrar.size, 1);
  });

  test("the same instance with another Contact is the same phone", () => {
    const world = new World();
    world.register({ contacts: ['<sip:a@10.0.0.2>;+sip.instance="<urn:uuid:1>"'] });
    world.drain();
    world.register({ contacts: ['<sip:a@10.0.0.3>;+sip.instance="<urn:uuid:1>"'], from: flowFrom("203.0.113.5:1") });
    assert.deepEqual(world.contacts(), ["sip:a@10.0.0.3"]);
    assert.deepEqual(world.told(), ["forget", "store", "moved"]);
  });

  test("another Contact from the same socket replaces the one before; from another socket it is another phone", () => {
    const world = new World();
    world.register({ contacts: ["<sip:alice@203.0.113.1:4000>"] });
    world.register({ contacts: ["<sip:alice@203.0.113.1:4001>"] });
    assert.deepEqual(world.contacts(), ["sip:alice@203.0.113.1:4001"]);
    world.register({ contacts: ["<sip:alice@203.0.113.1:4002>"], from: flowFrom("198.51.100.7:40001") });
    assert.equal(world.contacts().length, 2);
  });

  test("a closed connection puts its phones out of reach until they register again", () => {
    const world = new World();
    world.register({ from: flowFrom("198.51.100.7:40000", "tls", 7) });
    world.drain();
    world.registrar.handleConnectionClosed(8);
    assert.deepEqual(world.told(), []);
    world.registrar.handleConnectionClosed(7);
    assert.deepEqual(world.told(), ["flow-lost"]);
    assert.equal(world.registrar.bindingsOf(ALICE)[0]?.state, "flow-lost");
    world.register({ from: flowFrom("198.51.100.7:40001", "tls", 9) });
    assert.equal(world.registrar.bindingsOf(ALICE)[0]?.state, "reachable");
    world.registrar.handleConnectionClosed(7);
    assert.equal(world.registrar.bindingsOf(ALICE)[0]?.state, "reachable");
  });
});

suite("a phone on UDP is kept reachable", () => {
  function probesOf(world: World, ms: number): number[] {
    const times: number[] = [];
    const until = after(world.now, ms);
    for (let next = world.registrar.pollTimeout(); next !== undefined && next <= until; ) {
      world.now = next;
      world.registrar.handleTimeout(next);
      for (const output of world.drain()) {
        if (output.kind !== "probe") continue;
        times.push(next);
        world.registrar.handleProbe(output.binding, true, next);
      }
      next = world.registrar.pollTimeout();
    }
    return times;
  }

  test("it is probed every 20 to 25 s, not always the same", () => {
    const world = new World();
    world.register({ expires: 600 });
    const times = [0, ...probesOf(world, 600_000)];
    const gaps = times.slice(1).map((time, i) => time - (times[i] as number));
    assert.ok(gaps.length >= 23, `${gaps.length}`);
    assert.ok(gaps.every((gap) => gap >= 20_000 && gap < 25_000));
    assert.ok(new Set(gaps).size > 10);
  });

  test("on TCP it is not probed: the connection tells", () => {
    const world = new World();
    world.register({ from: flowFrom("198.51.100.7:40000", "tcp", 1) });
    assert.deepEqual(probesOf(world, 200_000), []);
  });

  test("after two probes without an answer it is said to be unanswered, after one answer to be back", () => {
    const world = new World();
    world.register({ expires: 600 });
    world.drain();
    const [binding] = world.registrar.bindingsOf(ALICE);
    assert.ok(binding);
    world.registrar.handleProbe(binding, false, world.now);
    assert.deepEqual(world.told(), []);
    world.registrar.handleProbe(binding, false, world.now);
    world.registrar.handleProbe(binding, false, world.now);
    assert.deepEqual(world.told(), ["unanswered"]);
    assert.equal(binding.state, "unanswered");
    world.registrar.handleProbe(binding, true, world.now);
    assert.deepEqual(world.told(), ["answered"]);
  });

  test("a probe that is still out is not followed by another, and an end that comes late does no harm", () => {
    const world = new World();
    world.register({ expires: 100 });
    world.pass(90_000);
    const probes = world.drain().filter(({ kind }) => kind === "probe");
    assert.equal(probes.length, 1);
    const [binding] = world.registrar.bindingsOf(ALICE);
    world.pass(20_000);
    world.drain();
    assert.ok(binding);
    world.registrar.handleProbe(binding, false, world.now);
    world.registrar.handleProbe(binding, false, world.now);
    assert.deepEqual(world.told(), []);
  });
});

test("after a restart phones are known again for as long as they asked, those on UDP are probed within 20 s", () => {
  const before = new World();
  before.register({ expires: 100 });
  before.register({ contacts: ["<sip:b@x>"], from: flowFrom("198.51.100.7:1", "tls", 3), expires: 200 });
  before.register({ contacts: ["<sip:short@x>"], from: flowFrom("198.51.100.7:2"), expires: 20 });
  const records = before.drain().flatMap((one) => (one.kind === "store" ? [one.binding as BindingRecord] : []));
  assert.equal(records.length, 3);
  const world = new World({}, 1_700_000_050);
  world.registrar.restore(records, world.now);
  assert.deepEqual(world.told(), ["forget"]);
  assert.deepEqual(
    world.registrar
      .bindingsOf(ALICE)
      .map(({ state }) => state)
      .sort(),
    ["flow-lost", "reachable"],
  );
  world.pass(20_000);
  assert.deepEqual(world.told(), ["probe"]);
  world.pass(30_000);
  assert.deepEqual(world.contacts(), ["sip:b@x"]);
});

test("a user who is removed has no phones any more, and nobody else has fewer", () => {
  const world = new World();
  world.register();
  world.register({ contacts: ["<sip:alice@x>"], from: flowFrom("198.51.100.7:2") });
  world.register({ user: "bob", to: "sip:bob@example.org", contacts: ["<sip:bob@x>"], from: flowFrom("192.0.2.9:1") });
  world.drain();
  world.registrar.handleUserRemoved("alice");
  assert.deepEqual(world.told(), ["forget", "removed", "forget", "removed"]);
  assert.deepEqual([world.contacts(), world.contacts("sip:bob@example.org")], [[], ["sip:bob@x"]]);
});
