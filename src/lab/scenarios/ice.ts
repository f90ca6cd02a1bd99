/** The same calls with ICE: each over the best path that its networks allow, which says why it is that one. */

import type { IceServer } from "../../node/ice/options.ts";
import { call, type Party } from "../call.ts";
import type { Lab } from "../lab.ts";
import type { NatName } from "../nats.ts";
import type { IceOutcome } from "../orders.ts";
import { relayedPackets } from "../passages.ts";
import type { Outcome, Scenario } from "../scenario.ts";
import { Server } from "../server.ts";
import { type SiteDeclaration, serverAddresses, type Topology } from "../topology.ts";

const iceId = "ice";
const settlingMs = 200;

type Help = "nothing" | "STUN" | "TURN";
type Kind = IceOutcome["kind"];

export interface IceTrial {
  readonly name: string;
  readonly title: string;
  readonly topology: Topology;
  readonly help: Help;
  /** The best that the networks allow. */
  readonly best: Kind;
}

/** By two addresses of the STUN server a NAT shows whether it gives every destination another port. */
function serversFor(help: Help, server: Server | undefined): readonly IceServer[] {
  if (server === undefined) return [];
  if (help === "STUN") return [{ urls: serverAddresses.map((address) => `stun:${address}`) }];
  const { url, username, credential } = server.turn();
  return [{ urls: url, username, credential }];
}

async function describe(lab: Lab, host: string, iceServers: readonly IceServer[]): Promise<string> {
  const agent = await lab.agent(host);
  return agent.tell("iceOpen", { id: iceId, iceServers });
}

async function meet(lab: Lab, host: string, description: string): Promise<IceOutcome> {
  const agent = await lab.agent(host);
  return agent.tell("iceMeet", { id: iceId, description });
}

async function pathOf(lab: Lab, host: string): Promise<IceOutcome> {
  const agent = await lab.agent(host);
  return agent.tell("icePath", { id: iceId });
}

function words({ kind, from, to, code, why }: IceOutcome): string {
  return kind === "none" ? `${code}: ${why}` : `${kind}, ${from} to ${to}, because (${code}) ${why}`;
}

const speakers: readonly [Party, Party] = [
  { host: "alice", id: iceId, toward: "" },
  { host: "bob", id: iceId, toward: "" },
];

/** 20 texts each way over the path, and how many packets the relay carried for it. */
async function speak(lab: Lab, best: Kind, took: number): Promise<Outcome> {
  // Checks that were called off may still be on their way through the relay.
  await lab.wait(2 * lab.roundTrip + settlingMs);
  await lab.forget();
  const { outcome, why } = await call(lab, ...speakers);
  const relayed = relayedPackets((await lab.passages()).get("server"));
  const [path, other] = [await pathOf(lab, "alice"), await pathOf(lab, "bob")];
  // One of the two has chosen, and knows why.
  const { code, why: because } = path.code === "peer-nominated" ? other : path;
  const isBest = path.kind === best && other.kind === best && relayed > 0 === (best === "relayed");
  return {
    outcome: isBest ? outcome : "fails",
    why: `${why}: ${words({ ...path, code, why: because })} The relay carried ${relayed} packets`,
    figures: {
      path: path.kind,
      reason: code,
      "until connected": `${took.toFixed(0)} ms`,
      "packets through the relay": `${relayed}`,
    },
  };
}

/** Both descriptions are handed over; what came of it at Alice's, and at Bob's. */
async function connect(lab: Lab, help: Help): Promise<readonly [IceOutcome, IceOutcome]> {
  const server = help === "nothing" ? undefined : await Server.start(lab);
  const iceServers = serversFor(help, server);
  const [alice, bob] = [await describe(lab, "alice", iceServers), await describe(lab, "bob", iceServers)];
  return Promise.all([meet(lab, "alice", bob), meet(lab, "bob", alice)]);
}

export function iceScenario({ name, title, topology, help, best }: IceTrial): Scenario {
  return {
    name,
    title,
    topology,
    expected: best === "none" ? "fails" : "works",
    run: async (lab) => {
      const outcomes = await connect(lab, help);
      const lost = outcomes.find(({ kind }) => kind === "none");
      if (lost === undefined) return speak(lab, best, Math.max(...outcomes.map(({ took }) => took)));
      return { outcome: "fails", why: words(lost), figures: { path: "none", reason: lost.code } };
    },
  };
}

function site(name: string, nat: NatName, ...hosts: string[]): SiteDeclaration {
  return { name, hosts, gateways: [{ nat }] };
}

function homes(alices: NatName, bobs: NatName): Topology {
  return { outside: ["server"], sites: [site("home", alices, "alice"), site("office", bobs, "bob")] };
}

const behindOne: Topology = { outside: ["server", "bob"], sites: [site("home", "port-restricted cone", "alice")] };

export const iceTrials: readonly IceTrial[] = [
  {
    name: "ICE, figure 1",
    title: "Two phones on one network, without STUN or TURN.",
    topology: { outside: [], sites: [site("home", "port-restricted cone", "alice", "bob")] },
    help: "nothing",
    best: "direct",
  },
  {
    name: "ICE, figure 2",
    title: "Alice is behind a NAT, Bob on the internet, and there is neither STUN nor TURN: her checks open the way.",
    topology: { outside: ["bob"], sites: [site("home", "port-restricted cone", "alice")] },
    help: "nothing",
    best: "direct",
  },
  {
    name: "ICE, figure 3",
    title: "The same with a TURN server, which is not needed, and not used.",
    topology: behindOne,
    help: "TURN",
    best: "direct",
  },
  {
    name: "ICE, figure 4",
    title:
      "Alice is behind a symmetric NAT, Bob behind a port-restricted cone, with STUN alone: ICE says what is missing.",
    topology: homes("symmetric, random", "port-restricted cone"),
    help: "STUN",
    best: "none",
  },
  {
    name: "ICE, figure 5",
    title: "The same two with a TURN server.",
    topology: homes("symmetric, random", "port-restricted cone"),
    help: "TURN",
    best: "relayed",
  },
  {
    name: "ICE, two symmetric NATs",
    title: "Both behind symmetric NATs, with a TURN server.",
    topology: homes("symmetric, random", "symmetric, in sequence"),
    help: "TURN",
    best: "relayed",
  },
  {
    name: "ICE, full cone and symmetric",
    title: "A full cone lets in whoever comes, the symmetric NAT's other port too; the TURN server is not used.",
    topology: homes("full cone", "symmetric, random"),
    help: "TURN",
    best: "direct",
  },
];

/** That the old path is dead takes five seconds to be seen, and the checks of others take their time. */
const roamingMs = 15_000;
const lookAgainMs = 100;

/** The path once it is another than this; undefined: it stays. */
async function moved(lab: Lab, host: string, before: IceOutcome): Promise<IceOutcome | undefined> {
  for (const end = performance.now() + roamingMs; performance.now() < end; await lab.wait(lookAgainMs)) {
    // Between the one and the other there may be none.
    const path = await pathOf(lab, host).catch(() => before);
    if (path.from !== before.from || path.to !== before.to) return path;
  }
  return undefined;
}

const roaming: Scenario = {
  name: "ICE, another address",
  title: "During a call Alice's host gets another address, and nobody tells Bob: the call goes on from there.",
  topology: { outside: ["bob"], sites: [site("home", "port-restricted cone", "alice")] },
  expected: "works",
  run: async (lab) => {
    const [alice, bob] = await connect(lab, "nothing");
    await lab.network
      .at("alice")
      .ip(
        `addr del ${lab.network.addressOf("alice")}/24 dev outside`,
        "addr add 10.0.1.99/24 dev outside",
        "route add default via 10.0.1.1",
      );
    const began = performance.now();
    const [path, bobs] = await Promise.all([moved(lab, "alice", alice), moved(lab, "bob", bob)]);
    if (path === undefined || bobs === undefined) {
      return { outcome: "fails", why: `a path stays: ${words(path === undefined ? alice : bob)}` };
    }
    const took = performance.now() - began;
    const { outcome, why } = await call(lab, ...speakers);
    return {
      outcome,
      why: `${why}: ${words(path)}`,
      figures: { reason: path.code, "until it goes on": `${took.toFixed(0)} ms` },
    };
  },
};

export const iceScenarios: readonly Scenario[] = [...iceTrials.map(iceScenario), roaming];
