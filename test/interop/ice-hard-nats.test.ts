/**
 * Paths between NATs that ordinary checks do not get through, in real kernels, on real sockets: found by probing, and the
 * relay is left.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { call, type Party } from "../../src/lab/call.ts";
import { Lab } from "../../src/lab/lab.ts";
import type { NatName } from "../../src/lab/nats.ts";
import { Network } from "../../src/lab/network.ts";
import type { Passage } from "../../src/lab/passages.ts";
import { Server } from "../../src/lab/server.ts";
import { serverAddresses, type Topology } from "../../src/lab/topology.ts";
import { main } from "../support/daemon.ts";
import { requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { hostOf } from "./networks.ts";

const skip =
  requirePrivilege("root", "net-admin", "sys-admin") || requirePeer("ip", "nft", "setpriv", "unshare", "nsenter");
const [alice, bob]: readonly [Party, Party] = [
  { host: "alice", id: "ice", toward: "" },
  { host: "bob", id: "ice", toward: "" },
];
/** RFC 6335 §6: where the server opens relayed addresses. */
const firstRelayPort = 49_152;

function homes(alices: NatName, bobs: NatName): Topology {
  return {
    outside: ["server"],
    sites: [
      { name: "home", hosts: ["alice"], gateways: [{ nat: alices }] },
      { name: "office", hosts: ["bob"], gateways: [{ nat: bobs }] },
    ],
  };
}

/** With two STUN servers, and a TURN server. */
async function open(lab: Lab, server: Server, { host, id }: Party, hardNats: boolean): Promise<string> {
  const { url, username, credential } = server.turn();
  const stun = serverAddresses.map((address) => ({ urls: `stun:${address}` }));
  const agent = await lab.agent(host);
  return agent.tell("iceOpen", { id, iceServers: [...stun, { urls: url, username, credential }], hardNats });
}

async function meet(lab: Lab, { host, id }: Party, description: string): Promise<string> {
  const agent = await lab.agent(host);
  return (await agent.tell("iceMeet", { id, description })).kind;
}

async function path(lab: Lab, { host, id }: Party) {
  const agent = await lab.agent(host);
  return agent.tell("icePath", { id });
}

async function connect(lab: Lab, hardNats: boolean): Promise<string[]> {
  const server = await Server.start(lab);
  const [alices, bobs] = [await open(lab, server, alice, hardNats), await open(lab, server, bob, hardNats)];
  return Promise.all([meet(lab, alice, bobs), meet(lab, bob, alices)]);
}

/** What left a host for the other's NAT. */
async function probes(lab: Lab, host: string, gateway: string): Promise<Passage[]> {
  const outside = lab.network.plan.gateways.find(({ name }) => name === gateway)?.outside;
  const passages = (await lab.passages()).get(host) ?? [];
  return passages.filter(({ direction, destination }) => direction === "left" && hostOf(destination) === outside);
}

/** Packets that arrived at relayed addresses. */
async function relayed(lab: Lab): Promise<number> {
  const isRelay = ({ direction, destination }: Passage): boolean =>
    direction === "arrived" && Number(destination.split(":")[1]) >= firstRelayPort;
  const passages = (await lab.passages()).get("server") ?? [];
  return passages.filter(isRelay).reduce((sum, { packets }) => sum + packets, 0);
}

async function build(topology: Topology): Promise<Lab> {
  const options = { postern: [process.execPath, main], roundTrip: 0 };
  return new Lab(await Network.build(topology), options);
}

/** Draws from 6,000 ports, so that the outcome is certain: of all 64,512 it is in 98 of 100 cases. */
async function narrow(lab: Lab): Promise<void> {
  const outside = lab.network.plan.gateways.find(({ name }) => name === "home router")?.outside;
  await lab.network.at("home router").nft(`flush chain ip nat post
add rule ip nat post oifname "outside" meta l4proto udp snat to ${outside}:10000-15999 fully-random
add rule ip nat post oifname "outside" masquerade
`);
}

const pairs: readonly (readonly [NatName, NatName])[] = [
  ["symmetric, random", "port-restricted cone"],
  ["symmetric, in sequence", "port-restricted cone"],
  ["symmetric, in sequence", "symmetric, in sequence"],
];

describe("hard NATs in real networks", { skip, concurrency: pairs.length }, () => {
  for (const [alices, bobs] of pairs) {
    test(`${alices}, and ${bobs}: direct, and the relay is left`, async (t) => {
      await using lab = await build(homes(alices, bobs));
      if (alices === "symmetric, random") await narrow(lab);
      assert.deepEqual(await connect(lab, true), ["relayed", "relayed"], "meanwhile the relay carries");
      const look = async () => {
        const both = [await path(lab, alice), await path(lab, bob)];
        return both.every(({ kind }) => kind === "direct") && both;
      };
      const direct = await until("a direct path", look, { within: 60_000 });
      t.diagnostic(`direct after ${direct.map(({ took }) => Math.round(took)).join(" and ")} ms`);
      assert.ok(direct.some(({ code }) => code === "moved-to-better"));
      const sent = [await probes(lab, "alice", "office router"), await probes(lab, "bob", "home router")];
      t.diagnostic(`flows: ${sent.map(({ length }) => length).join(" and ")}`);
      assert.ok(new Set(sent[0]?.map(({ source }) => source)).size > 1);
      await lab.wait(1_000);
      await lab.forget();
      const { outcome, why } = await call(lab, alice, bob);
      assert.equal(outcome, "works", why);
      assert.equal(await relayed(lab), 0);
    });
  }

  test("who has not asked for it stays with the relay, and probes nothing", async () => {
    await using lab = await build(homes("symmetric, random", "port-restricted cone"));
    await connect(lab, false);
    await lab.wait(4_000);
    assert.equal((await path(lab, alice)).kind, "relayed");
    const [alices, bobs] = [await probes(lab, "alice", "office router"), await probes(lab, "bob", "home router")];
    assert.deepEqual(
      [alices.length, bobs.length].map((flows) => flows <= 4),
      [true, true],
    );
  });
});
