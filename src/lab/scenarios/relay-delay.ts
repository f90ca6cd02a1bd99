/** What the relay adds: the same echo directly and through it, and two that can meet only there. */
import { call } from "../call.ts";
import { allocate, bindPeer, openEcho, openSocket, relayId, socketId } from "../ends.ts";
import type { Lab } from "../lab.ts";
import type { Scenario } from "../scenario.ts";
import { Server } from "../server.ts";

/** As many echoes as fit into a few seconds. */
function countFor({ roundTrip }: Lab): number {
  return Math.min(40, Math.ceil(1_500 / (roundTrip + 1)));
}

/** The median, in milliseconds. */
async function measure(lab: Lab, host: string, id: string, to: string): Promise<number> {
  const agent = await lab.agent(host);
  const time = (echoes: number) => agent.tell("time", { id, to, count: echoes });
  // The first few find the way, and warm what they pass.
  if ((await time(3)).length === 0) throw new Error(`nothing comes back to ${host} from ${to}`);
  const took = (await time(countFor(lab))).toSorted((a, b) => a - b);
  return took[Math.floor(took.length / 2)] ?? Number.NaN;
}

function ms(value: number): string {
  return `${value.toFixed(2)} ms`;
}

const addedDelay: Scenario = {
  name: "relay's delay",
  title: "Alice behind a NAT times Bob's echo on the internet, directly and through the relay.",
  topology: {
    outside: ["server", "bob"],
    sites: [{ name: "home", hosts: ["alice"], gateways: [{ nat: "port-restricted cone" }] }],
  },
  expected: "works",
  measures: true,
  run: async (lab) => {
    const server = await Server.start(lab);
    const bob = await openEcho(lab, "bob");
    await openSocket(lab, "alice");
    await allocate(lab, "alice", server.turn());
    await bindPeer(lab, "alice", bob);
    const direct = await measure(lab, "alice", socketId, bob);
    const relayed = await measure(lab, "alice", relayId, bob);
    // The way by the server is twice as long.
    const beyond = relayed - direct - lab.roundTrip;
    return {
      outcome: direct >= lab.roundTrip && relayed >= 2 * lab.roundTrip ? "works" : "fails",
      why: `an echo takes ${ms(direct)} directly and ${ms(relayed)} through the relay`,
      figures: {
        direct: ms(direct),
        relayed: ms(relayed),
        added: ms(relayed - direct),
        "beyond the longer way": ms(beyond),
      },
    };
  },
};

const twoSymmetric: Scenario = {
  name: "two symmetric NATs",
  title: "Alice and Bob, both behind symmetric NATs, each have a relayed address, and speak to the other's.",
  topology: {
    outside: ["server"],
    sites: [
      { name: "home", hosts: ["alice"], gateways: [{ nat: "symmetric, random" }] },
      { name: "office", hosts: ["bob"], gateways: [{ nat: "symmetric, in sequence" }] },
    ],
  },
  expected: "works",
  measures: true,
  run: async (lab) => {
    const server = await Server.start(lab);
    const [alice, bob] = await Promise.all(["alice", "bob"].map((host) => allocate(lab, host, server.turn())));
    if (alice === undefined || bob === undefined) throw new Error("there are two of them");
    await Promise.all([bindPeer(lab, "alice", bob.relayed), bindPeer(lab, "bob", alice.relayed)]);
    const outcome = await call(
      lab,
      { host: "alice", id: relayId, toward: bob.relayed },
      { host: "bob", id: relayId, toward: alice.relayed },
    );
    const bobsAgent = await lab.agent("bob");
    await bobsAgent.tell("echo", { id: relayId });
    const took = await measure(lab, "alice", relayId, bob.relayed);
    const why = `${outcome.why}; an echo takes ${ms(took)}`;
    return { ...outcome, why, figures: { "round trip through the relay": ms(took) } };
  },
};

export const relayScenarios: readonly Scenario[] = [twoSymmetric, addedDelay];
