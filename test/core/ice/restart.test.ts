/** Restarts, and hosts that move from network to network, on natlab. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatAddress, formatIp, parseIp } from "../../../src/core/base/address.ts";
import type { BaseId } from "../../../src/core/ice/base.ts";
import { Attribute } from "../../../src/core/stun/registry.ts";
import { type Direction, passing, remoteOf } from "../../../src/natlab/firewall/firewall.ts";
import type { Packet } from "../../../src/natlab/packet.ts";
import { address } from "../turn/server/world.ts";
import { Call } from "./call.ts";
import type { Endpoint } from "./endpoint.ts";
import { build, type Cell, cells } from "./grid.ts";
import { candidate, errorCode, OWN, PEERS, Solo } from "./solo.ts";

function cellOf(name: string): Cell {
  return cells().find((one) => one.family === "apart" && one.name === name) as Cell;
}

const [cones, strict] = [cellOf("EI/AD and EI/AD"), cellOf("APD/APD and APD/APD")];

/** The longest time between two packets that the application heard since `from`. */
function longestGap(one: Endpoint, from: number): number {
  const times = [from, ...one.received.map(({ at }) => at).filter((at) => at >= from), one.world.now];
  return Math.max(...times.map((at, n) => at - (times[n - 1] ?? at)));
}

suite("RFC 8445 §9: a restart", () => {
  for (const cell of [cones, strict]) {
    for (const trickle of [false, true]) {
      test(`loses no packet while the old path lives: ${cell.name}${trickle ? ", candidates one by one" : ""}`, () => {
        const lab = build(cell);
        const call = new Call(lab.a, lab.b, { trickle }).start().talk();
        lab.world.advance(3_000);
        const before = [lab.a.all("selected").length, lab.b.all("selected").length];
        const from = lab.world.now;
        const counts = [lab.a, lab.b].map((one) => ({ sent: one.sent.length, received: one.received.length }));
        call.restart();
        lab.world.advance(3_000);
        assert.ok(
          lab.a.all("selected").length > (before[0] as number) && lab.b.all("selected").length > (before[1] as number),
        );
        assert.ok(
          [lab.a, lab.b].every((one) => longestGap(one, from) <= 150),
          "no gap",
        );
        const [a, b] = [lab.a, lab.b].map((one, n) => ({
          sent: one.sent.length - (counts[n]?.sent as number),
          received: one.received.length - (counts[n]?.received as number),
        }));
        // What is on its way at either end of the time is heard before or after.
        assert.ok(Math.abs((a?.sent as number) - (b?.received as number)) <= 6);
        assert.ok(Math.abs((b?.sent as number) - (a?.received as number)) <= 6);
        assert.deepEqual([lab.a.agent.state, lab.b.agent.state], ["connected", "connected"]);
        assert.ok(!lab.a.all("state").some(({ state }) => state === "disconnected"));
      });
    }
  }

  test("has other credentials on both sides, and tells who asked for it", () => {
    const lab = build(cones);
    const call = new Call(lab.a, lab.b).start();
    lab.world.advance(2_000);
    const before = [lab.a.agent.credentials, lab.b.agent.credentials];
    call.restart();
    lab.world.advance(2_000);
    for (const [n, one] of [lab.a, lab.b].entries()) {
      assert.notEqual(one.agent.credentials?.ufrag, before[n]?.ufrag);
      assert.notEqual(one.agent.credentials?.password, before[n]?.password);
    }
    assert.deepEqual(
      lab.a.all("credentials").map(({ why }) => why),
      ["first", "own"],
    );
    assert.deepEqual(
      lab.b.all("credentials").map(({ why }) => why),
      ["first", "peer"],
    );
  });

  test("that fails leaves the path that it was to replace", () => {
    const lab = build(cones);
    new Call(lab.a, lab.b).start().talk();
    lab.world.advance(2_000);
    const from = lab.world.now;
    lab.a.onEvent = () => {};
    lab.a.input((agent, now) => agent.restart(now));
    const nobody = { ...PEERS, candidates: [] };
    lab.a.input((agent, now) => agent.handleRemoteDescription(0, nobody, now));
    lab.world.advance(60_000);
    assert.equal(lab.a.last("failed")?.reason.code, "no-remote-candidates");
    assert.equal(lab.a.agent.state, "connected");
    assert.ok(longestGap(lab.a, from) <= 150 && longestGap(lab.b, from) <= 150);
  });

  test("the same credentials again are none", () => {
    const solo = new Solo().connected();
    solo.do((agent) =>
      agent.handleRemoteDescription(0, { ...PEERS, candidates: [candidate("198.51.100.8:1")] }, solo.now),
    );
    assert.equal(solo.all("credentials").length, 1);
    assert.equal(solo.agent.report(0)?.remote.length, 2, "but its candidates count");
  });

  test("when the path has died it takes no more than 800 ms from the call", () => {
    const lab = build(cones);
    const call = new Call(lab.a, lab.b, { trickle: true }).start().talk();
    lab.world.advance(2_000);
    // A's router forgets everything, and gives other ports from now on: its peer knows them from checks alone.
    lab.internet.change({ loss: 1 });
    lab.world.advance(300);
    lab.internet.change({ loss: 0 });
    const from = lab.world.now;
    call.restart();
    lab.world.advance(3_000);
    const heard = [lab.a, lab.b].map(
      (one) => (one.received.find(({ at }) => at > from)?.at ?? Number.POSITIVE_INFINITY) - from,
    );
    assert.ok(Math.max(...heard) <= 800, String(heard));
  });

  for (const delay of [0, 50]) {
    for (const trickle of [true, false]) {
      const how = `${delay} ms one way${trickle ? ", candidates one by one" : ""}`;
      test(`when the direct path stays dead data goes through the relay within 800 ms of the call: ${how}`, () => {
        let isShut = false;
        const passesHomes = (packet: Packet, direction: Direction) =>
          !isShut || !formatIp(remoteOf(packet, direction)).startsWith("5.1.0.");
        const lab = build(cones, { delay, firewall: passing(passesHomes) });
        const call = new Call(lab.a, lab.b, { trickle, signaling: 0 }).start().talk();
        lab.world.advance(3_000);
        assert.equal(lab.a.path()?.kind, "direct");
        isShut = true;
        lab.world.advance(500);
        const from = lab.world.now;
        call.restart();
        lab.world.advance(3_000);
        const heard = [lab.a, lab.b].map(
          (one) => (one.received.find(({ at }) => at > from)?.at ?? Number.POSITIVE_INFINITY) - from,
        );
        assert.ok(Math.max(...heard) <= 800, String(heard));
        assert.equal(lab.a.path()?.kind, "relayed");
      });
    }
  }

  test("while the old path answers nothing passes the relay that is found first", () => {
    let fresh: string | undefined;
    const passesHomes = ({ payload, ...packet }: Packet, direction: Direction) => {
      const isCheck = fresh !== undefined && Buffer.from(payload).includes(fresh);
      return !isCheck || !formatIp(remoteOf({ payload, ...packet } as Packet, direction)).startsWith("5.1.0.");
    };
    const lab = build(cones, { firewall: passing(passesHomes) });
    const call = new Call(lab.a, lab.b).start().talk();
    lab.world.advance(3_000);
    const known = lab.a.agent.credentials?.ufrag;
    call.restart();
    fresh = lab.a.agent.credentials?.ufrag;
    assert.notEqual(fresh, known);
    // The controlled side is told first that the relay is to be used.
    while (lab.b.path()?.kind === "direct" && lab.world.now < 10_000) lab.world.advance(1);
    assert.equal(lab.b.path()?.kind, "relayed");
    assert.equal(lab.turn.mediaPackets, 0);
  });

  test("leaves data on the old path until the new one is nominated, though one check of the old one is lost", () => {
    const solo = new Solo({ role: "controlled" }).begin(candidate("198.51.100.7:2000"));
    solo.check({ useCandidate: true });
    solo.answer();
    solo.run(100);
    const way = (): unknown => solo.agent.send(0, 1, new Uint8Array(1));
    const old = way();
    assert.ok(old);
    solo.do((agent) => agent.restart(solo.now));
    const fresh = { ...PEERS, ufrag: "fresh", candidates: [candidate("198.51.100.7:2000")] };
    solo.do((agent) => agent.handleRemoteDescription(0, fresh, solo.now));
    solo.run(5);
    const check = solo.requests.findLast(({ view }) => view.text(Attribute.Username, 99)?.startsWith("fresh:"));
    assert.ok(check);
    solo.deliver(solo.answerBytes(check));
    assert.equal(solo.pair()?.isValid, true);
    assert.equal(way(), old);
    solo.run(30);
    assert.equal(way(), old, "of two checks one is not answered");
    solo.run(60);
    assert.notEqual(way(), old, "neither is");
    assert.ok(way());
  });

  test("a third while the second is under way ends well", () => {
    const lab = build(cones);
    const call = new Call(lab.a, lab.b).start().talk();
    lab.world.advance(2_000);
    const from = lab.world.now;
    call.restart();
    lab.world.advance(120);
    call.restart();
    lab.world.advance(4_000);
    assert.deepEqual([lab.a.agent.state, lab.b.agent.state], ["connected", "connected"]);
    assert.ok(longestGap(lab.a, from) <= 150 && longestGap(lab.b, from) <= 150);
  });

  test("RFC 8489 §9.1.3: a peer that has begun anew, and asks for who we were, is refused and decides nothing", () => {
    const solo = new Solo().connected();
    const anew = { username: `${solo.agent.credentials?.ufrag}:anew`, useCandidate: true };
    const { role } = solo.agent;
    const refusal = solo.check({
      ...anew,
      role,
      tieBreaker: new Uint8Array(8).fill(255),
      from: address("198.51.100.7:3"),
    });
    assert.equal(refusal && errorCode(refusal), 401);
    assert.equal(solo.agent.role, role);
    assert.equal(solo.agent.report(0)?.remote.length, 1);
  });

  test("RFC 8838 §11.3: a candidate of the description before is ignored", () => {
    const solo = new Solo().begin();
    solo.do((agent) => agent.handleRemoteCandidate(0, candidate("198.51.100.8:1"), solo.now, "older"));
    solo.do((agent) => agent.handleRemoteCandidate(0, candidate("198.51.100.9:1"), solo.now, PEERS.ufrag));
    assert.deepEqual(
      solo.agent.report(0)?.remote.map((one) => formatAddress(one.address)),
      ["198.51.100.9:1"],
    );
  });
});

suite("addresses that go and come", () => {
  test("a lost address is replaced by a new one, without signaling", () => {
    const lab = build(cones);
    new Call(lab.a, lab.b).start().talk();
    lab.world.advance(2_000);
    const [base] = lab.a.sockets.keys();
    const from = lab.world.now;
    lab.a.host.attach(lab.internet, "5.1.0.77");
    lab.a.sockets.get(base as BaseId)?.close();
    const host = lab.a.bind(parseIp("5.1.0.77") as NonNullable<ReturnType<typeof parseIp>>, 0, 1);
    lab.a.input((agent, now) => agent.handleAddressLost(base as BaseId, now));
    lab.a.input((agent, now) => agent.handleAddressAdded(host, now));
    lab.world.advance(2_000);
    assert.equal(lab.a.agent.state, "connected");
    assert.equal(lab.a.all("selected").at(-1)?.reason.code, "replaced-lost");
    assert.ok(longestGap(lab.b, from) <= 800, String(longestGap(lab.b, from)));
  });

  test("when the only one is lost, the agent says so", () => {
    const solo = new Solo().connected();
    solo.do((agent) => agent.handleAddressLost(1 as BaseId, solo.now));
    assert.equal(solo.agent.state, "failed");
    assert.equal(solo.all("failed")[0]?.reason.code, "address-lost");
    assert.equal(solo.agent.send(0, 1, new Uint8Array(1)), undefined);
    solo.do((agent) => agent.handleAddressLost(1 as BaseId, solo.now));
  });
});

suite("RFC 8445 §9: paths of former descriptions", () => {
  const next = { ufrag: "next", password: "another+password+of+the+peer" };
  const third = { ufrag: "third", password: "yet+another+one+of+the+peers" };

  /** Restarts, and connects with `candidate` under other credentials of the peer's. */
  function moved(solo: Solo, peer: typeof next, to: string): void {
    solo.do((agent) => agent.restart(solo.now));
    solo.do((agent) => agent.handleRemoteDescription(0, { ...peer, candidates: [candidate(to)] }, solo.now));
    for (let n = 0; n < 2; n++) {
      solo.run(60);
      const asked = solo.lastRequest(address(to));
      solo.deliver(solo.answerBytes(asked, OWN, peer.password), address(to));
    }
    assert.equal(solo.all("selected").at(-1)?.path.remote.address.w3, address(to).w3);
  }

  test("what is still under way on the old one is heard, for three seconds", () => {
    const solo = new Solo().connected();
    moved(solo, next, "198.51.100.8:1");
    const data = Uint8Array.of(0x80, 1);
    assert.equal(solo.deliver(data), true);
    solo.run(3_100);
    assert.equal(solo.deliver(data), false);
    assert.equal(solo.deliver(data, address("198.51.100.8:1")), true);
  });

  test("of several only the newest that carried is kept", () => {
    const solo = new Solo().connected();
    moved(solo, next, "198.51.100.8:1");
    moved(solo, third, "198.51.100.9:1");
    const before = solo.requests.length;
    solo.run(2_900);
    assert.ok(!solo.requests.slice(before).some(({ to }) => to === "198.51.100.7:2000"));
    assert.equal(solo.deliver(Uint8Array.of(0x80)), false);
  });

  test("round trips of the network before count no more", () => {
    const solo = new Solo().begin(candidate("198.51.100.7:2000")).run(400);
    solo.answer();
    solo.run(60);
    solo.answer();
    solo.do((agent) => agent.restart(solo.now));
    const candidates = [candidate("198.51.100.1:1", "host", { foundation: "h" }), candidate("198.51.100.2:1", "srflx")];
    solo.do((agent) => agent.handleRemoteDescription(0, { ...next, candidates }, solo.now));
    solo.run(60);
    const [worse, began] = [address("198.51.100.2:1"), solo.now];
    solo.deliver(solo.answerBytes(solo.lastRequest(worse), OWN, next.password), worse);
    solo.run(200);
    assert.ok(solo.lastRequest(worse).view.has(Attribute.UseCandidate));
    assert.ok(solo.lastRequest(worse).at - began <= 100);
  });
});

test("nothing is sent from a lost address, not even what was next", () => {
  const solo = new Solo().begin(candidate("198.51.100.7:2000"));
  solo.check();
  solo.do((agent) => agent.handleAddressLost(1 as BaseId, solo.now));
  const before = solo.sent.length;
  solo.run(2_000);
  assert.equal(solo.sent.length, before);
});
