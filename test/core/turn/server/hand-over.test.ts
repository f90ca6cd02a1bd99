/** Flows from client to client: when there are some, between whom, and what ends them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "../../../../src/core/base/address.ts";
import { countOffloaded, type Flow } from "../../../../src/core/turn/server/flow.ts";
import { address, Client, World } from "./world.ts";

const RELAY = "9.9.9.1";

class Pair {
  readonly world: World;
  readonly flows: Set<Flow> = new Set();
  readonly ann: Client;
  readonly bob: Client;
  readonly annAt: string;
  readonly bobAt: string;

  constructor(config = {}) {
    this.world = new World(config);
    this.world.onHint = (kind, flow) => void (kind === "offload" ? this.flows.add(flow) : this.flows.delete(flow));
    this.ann = new Client(this.world, "5.6.7.8:1000");
    this.bob = new Client(this.world, "5.6.7.9:2000");
    this.annAt = `${RELAY}:${this.ann.allocated()}`;
    this.bobAt = `${RELAY}:${this.bob.allocated()}`;
  }

  bind(): void {
    assert.ok(this.ann.bind(0x4000, this.bobAt).ok);
    assert.ok(this.bob.bind(0x4001, this.annAt).ok);
  }

  /** Such as `5.6.7.8:1000 4000 > 5.6.7.9:2000 4001`. */
  get ways(): string[] {
    return [...this.flows].map(({ sender, client, channel }) => {
      assert.ok(sender);
      const [from, to] = [formatAddress(sender.client.remote), formatAddress(client.remote)];
      return `${from} ${sender.channel.toString(16)} > ${to} ${channel.toString(16)}`;
    });
  }

  to(who: "ann" | "bob"): Flow {
    const flow = [...this.flows].find(
      ({ client }) => client === this[who].path || client.remote.port === this[who].path.remote.port,
    );
    return flow ?? assert.fail(`no flow to ${who}`);
  }
}

const toBob = "5.6.7.8:1000 4000 > 5.6.7.9:2000 4001";
const toAnn = "5.6.7.9:2000 4001 > 5.6.7.8:1000 4000";

test("two channels that lead to each other are two flows, from client to client", () => {
  const pair = new Pair();
  pair.ann.bind(0x4000, pair.bobAt);
  assert.deepEqual(pair.ways, [], "Bob has no channel, and gets indications");
  pair.bob.bind(0x4001, pair.annAt);
  assert.deepEqual(pair.ways.toSorted(), [toBob, toAnn].toSorted());
});

test("a channel to somebody else of the same server is no hand-over", () => {
  const pair = new Pair();
  const eve = new Client(pair.world, "5.6.7.10:3000");
  eve.allocated();
  pair.ann.bind(0x4000, pair.bobAt);
  eve.bind(0x4001, pair.annAt);
  eve.bind(0x4002, pair.bobAt);
  assert.deepEqual(pair.ways, []);
});

test("RFC 8656 §9: the receiver's permission for the sender counts, and its return brings the flow back", () => {
  const pair = new Pair();
  pair.bind();
  pair.world.advance(200);
  pair.ann.permit(RELAY);
  pair.world.advance(150);
  assert.deepEqual(pair.ways, [toAnn], "Bob's permission is over");
  pair.bob.permit(RELAY);
  assert.deepEqual(pair.ways.toSorted(), [toBob, toAnn].toSorted());
});

test("each end takes both flows with it: an allocation that is given up, and a channel that runs out", () => {
  const given = new Pair();
  given.bind();
  given.world.onHint = (kind, flow) => {
    assert.equal(kind, "withdraw");
    given.flows.delete(flow);
    assert.equal(given.world.sent.length, sent, "before the answer");
  };
  given.bob.nonce ?? assert.fail();
  const sent = given.world.sent.length;
  assert.ok(given.bob.refresh(0).ok);
  assert.deepEqual(given.ways, []);

  const old = new Pair();
  old.bind();
  for (let i = 0; i < 3; i++) {
    old.world.advance(250);
    for (const one of [old.ann, old.bob]) {
      one.refresh(600);
      one.permit(RELAY);
    }
    if (i === 1) old.ann.bind(0x4000, old.bobAt);
  }
  assert.deepEqual(old.ways, [], "Bob's channel is over");
});

test("a flow's end is the first of all that it needs", () => {
  const pair = new Pair();
  const start = pair.world.now;
  pair.bind();
  assert.deepEqual([pair.to("bob").until, pair.to("ann").until], [start + 300_000, start + 300_000]);
  pair.world.advance(100);
  pair.bob.permit(RELAY);
  assert.deepEqual([pair.to("bob").until, pair.to("ann").until], [start + 400_000, start + 300_000]);
  pair.ann.permit(RELAY);
  assert.deepEqual([pair.to("bob").until, pair.to("ann").until], [start + 400_000, start + 400_000]);
  pair.world.advance(250);
  pair.bob.refresh(1_200);
  pair.bob.bind(0x4001, pair.annAt);
  assert.deepEqual([pair.to("bob").until, pair.to("ann").until], [start + 600_000, start + 400_000], "Ann's channel");
});

test("what a datapath handed over counts for both allocations", () => {
  const pair = new Pair();
  pair.bind();
  countOffloaded(pair.to("bob"), 10, 200_000);
  pair.ann.refresh(0);
  pair.bob.refresh(0);
  const traffic = pair.world.events.flatMap((event) => (event.type === "allocation-ended" ? [event.traffic] : []));
  const nothing = { packetsToPeers: 0, bytesToPeers: 0, packetsToClient: 0, bytesToClient: 0 };
  assert.deepEqual(traffic, [
    { ...nothing, packetsToPeers: 10, bytesToPeers: 200_000 },
    { ...nothing, packetsToClient: 10, bytesToClient: 200_000 },
  ]);
});

test("a flow is withdrawn before another begins where it does, whichever way a peer turns", () => {
  // Nobody changes an address under a server that relays there: it stands for what may yet make a peer its own.
  const place = { bound: address("10.0.0.1:0"), advertised: address(`${RELAY}:0`) };
  const pair = new Pair({ relays: [place], ownAddresses: [] });
  const kernel = new Map<string, Flow>();
  pair.world.onHint = (kind, flow) => {
    const from = flow.sender ?? (flow.toward === "peer" ? flow : undefined);
    if (from === undefined) return;
    const key = `${formatAddress(from.client.remote)} ${from.channel}`;
    if (kind === "withdraw") kernel.delete(key);
    else kernel.set(key, flow);
  };
  pair.bind();
  const ways = () => [...kernel.values()].map(({ sender }) => (sender === undefined ? "to the relay" : "over"));
  for (const [advertised, way] of [
    ["9.9.9.7:0", "to the relay"],
    [`${RELAY}:0`, "over"],
    ["9.9.9.7:0", "to the relay"],
  ] as const) {
    Object.assign(place.advertised, address(advertised));
    pair.world.server.handleAddresses([place], [], pair.world.now);
    pair.world.drain();
    assert.deepEqual(ways(), [way, way]);
  }
});
