/** ICE between every two of the lab's NATs, in one network: each pair's path is the one that their declarations allow. */
import { canMeet } from "../../natlab/meeting.ts";
import type { Lab } from "../lab.ts";
import { type NatName, nats } from "../nats.ts";
import type { IceOutcome } from "../orders.ts";
import type { Scenario } from "../scenario.ts";
import { Server } from "../server.ts";

type Kind = IceOutcome["kind"];

interface Pair {
  readonly hosts: readonly [NatName, NatName];
  readonly expected: Kind;
}

const names = Object.keys(nats) as NatName[];

const pairs: readonly Pair[] = names.flatMap((one, n) =>
  names.slice(n + 1).map((other): Pair => {
    const isDirect = canMeet([nats[one].behavior], [nats[other].behavior]);
    return { hosts: [one, other], expected: isDirect ? "direct" : "relayed" };
  }),
);

/** A relayed path may be the first, and the direct one the last. */
const settlingMs = 20_000;
const lookAgainMs = 100;
/** Pairs at once: more would wait for each other, and not for their networks. */
const atOnce = 6;

async function pathsOf(lab: Lab, { hosts, expected }: Pair, server: Server): Promise<readonly Kind[]> {
  const id = hosts.join(" and ");
  const agents = await Promise.all(hosts.map((host) => lab.agent(host)));
  const { url, username, credential } = server.turn();
  const iceServers = [{ urls: url, username, credential }];
  const [one, other] = await Promise.all(agents.map((agent) => agent.tell("iceOpen", { id, iceServers })));
  const told = [other, one];
  let paths = await Promise.all(
    agents.map((agent, n) => agent.tell("iceMeet", { id, description: told[n] as string })),
  );
  const isThere = (): boolean => paths.every(({ kind }) => kind === expected);
  for (const end = performance.now() + settlingMs; !isThere() && performance.now() < end; ) {
    await lab.wait(lookAgainMs);
    // Between the one and the other there may be none.
    paths = await Promise.all(agents.map((agent) => agent.tell("icePath", { id }))).catch(() => paths);
  }
  await Promise.all(agents.map((agent) => agent.tell("iceClose", { id })));
  return paths.map(({ kind }) => kind);
}

export const iceGrid: Scenario = {
  name: "ICE, grid",
  title: `Hosts behind ${names.length} NATs, every two of them with ICE and a TURN server: direct wherever that is possible.`,
  topology: {
    outside: ["server"],
    sites: names.map((name) => ({ name, hosts: [name], gateways: [{ nat: name }] })),
  },
  expected: "works",
  run: async (lab) => {
    const server = await Server.start(lab);
    const found = new Map<Pair, readonly Kind[]>();
    for (let at = 0; at < pairs.length; at += atOnce) {
      const some = pairs.slice(at, at + atOnce);
      await Promise.all(some.map(async (pair) => found.set(pair, await pathsOf(lab, pair, server))));
    }
    const isWrong = (pair: Pair): boolean => found.get(pair)?.some((kind) => kind !== pair.expected) ?? true;
    const wrong = pairs.filter(isWrong).map((pair) => `${pair.hosts.join(" and ")}: ${found.get(pair)?.join(", ")}`);
    const count = (kind: Kind): string =>
      `${pairs.filter(({ expected }) => expected === kind).length} of ${pairs.length}`;
    return {
      outcome: wrong.length === 0 ? "works" : "fails",
      why: wrong.length === 0 ? "Every two have come to the best path that their NATs allow." : wrong.join("; "),
      figures: { direct: count("direct"), relayed: count("relayed") },
    };
  },
};
