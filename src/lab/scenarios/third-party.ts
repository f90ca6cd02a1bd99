/** No new hole is open to third parties: a stranger knows every address of a call, and sends there. */
import { call, type Party } from "../call.ts";
import { allocate, bindPeer, openSocket, openSocketAndAsk, relayId, socketId } from "../ends.ts";
import type { Lab } from "../lab.ts";
import type { Passage } from "../passages.ts";
import type { Outcome, Scenario } from "../scenario.ts";
import { Server } from "../server.ts";
import type { GatewayDeclaration, Topology } from "../topology.ts";

const packets = 20;
const router = "home router";
const patienceMs = 5_000;
const lookAgainMs = 100;

function topology(...gateways: readonly GatewayDeclaration[]): Topology {
  return { outside: ["server", "bob", "stranger"], sites: [{ name: "home", hosts: ["alice"], gateways }] };
}

const closed: GatewayDeclaration = { nat: "port-restricted cone", firewall: "inside to outside" };

/** A call that is not there proves nothing of a stranger. */
async function callThatWorks(lab: Lab, one: Party, other: Party): Promise<void> {
  const { outcome, why } = await call(lab, one, other);
  if (outcome !== "works") throw new Error(`the call itself fails: ${why}`);
}

/** The stranger has found a way to the inside's own addresses too, as a neighbour on the provider's network has. */
async function intrude(lab: Lab, targets: readonly string[]): Promise<void> {
  const { outside, inside } = lab.network.plan.gateways[0] as { outside: string; inside: string };
  await lab.network.at("stranger").ip(`route add ${inside.replace(/\d+$/, "0/24")} via ${outside}`);
  await openSocket(lab, "stranger");
  const stranger = await lab.agent("stranger");
  const texts = Array.from({ length: packets }, (_, i) => `intrusion ${i}`);
  for (const to of targets) await stranger.tell("send", { id: socketId, to, texts });
}

function arrived(passages: readonly Passage[] | undefined, from: string): number {
  const all = (passages ?? []).filter(
    ({ direction, source }) => direction === "arrived" && source.startsWith(`${from}:`),
  );
  return all.reduce((sum, passage) => sum + passage.packets, 0);
}

/** All of the stranger's packets came to every door. */
async function cameToDoors(lab: Lab, doors: Readonly<Record<string, number>>): Promise<boolean> {
  const from = lab.network.addressOf("stranger");
  for (const end = performance.now() + patienceMs; performance.now() < end; await lab.wait(lookAgainMs)) {
    const passages = await lab.passages();
    if (Object.entries(doors).every(([door, count]) => arrived(passages.get(door), from) >= count)) return true;
  }
  return false;
}

/** Counts what came to Alice when all had the time to; `speaker` is the host from which the call comes to her. */
async function judge(lab: Lab, doors: Readonly<Record<string, number>>, speaker: string): Promise<Outcome> {
  const came = await cameToDoors(lab, doors);
  await lab.wait(lab.roundTrip + lookAgainMs);
  const passages = (await lab.passages()).get("alice");
  const [strangers, speakers] = ["stranger", speaker].map((host) => arrived(passages, lab.network.addressOf(host)));
  if (!came || speakers === 0) throw new Error("the stranger's packets, or the call's, are missing");
  const atDoors = Object.entries(doors).map(([door, count]) => `${count} at the ${door}`);
  return {
    outcome: strangers === 0 ? "works" : "fails",
    why: `the stranger sent ${atDoors.join(" and ")}, and ${strangers} came to Alice, beside ${speakers} from ${speaker}`,
    figures: { "stranger's packets at Alice's": `${strangers}`, [`${speaker}'s packets at Alice's`]: `${speakers}` },
  };
}

/** During a direct call, to the mapping and to the address inside. */
function directScenario(
  gateway: GatewayDeclaration,
  scenario: Pick<Scenario, "name" | "title" | "expected">,
): Scenario {
  return {
    ...scenario,
    topology: topology(gateway),
    run: async (lab) => {
      const server = await Server.start(lab);
      const [alice, bob] = [await openSocketAndAsk(lab, "alice", server), await openSocket(lab, "bob")];
      await callThatWorks(
        lab,
        { host: "alice", id: socketId, toward: bob },
        { host: "bob", id: socketId, toward: alice },
      );
      await intrude(lab, [alice, insideOf(lab, alice)]);
      return judge(lab, { [router]: 2 * packets }, "bob");
    },
  };
}

/** The mapped port at Alice's own address: where the NAT keeps ports, it is hers. */
function insideOf(lab: Lab, mapped: string): string {
  return `${lab.network.addressOf("alice")}:${mapped.split(":")[1]}`;
}

const relayed: Scenario = {
  name: "third party, relayed",
  title: "The same during a call through the relay, and to the relayed address as well.",
  topology: topology(closed),
  expected: "works",
  run: async (lab) => {
    const server = await Server.start(lab);
    const bob = await openSocket(lab, "bob");
    const alice = await allocate(lab, "alice", server.turn());
    await bindPeer(lab, "alice", bob);
    await callThatWorks(
      lab,
      { host: "alice", id: relayId, toward: bob },
      { host: "bob", id: socketId, toward: alice.relayed },
    );
    await intrude(lab, [alice.relayed, alice.mapped, insideOf(lab, alice.mapped)]);
    return judge(lab, { server: packets, [router]: 2 * packets }, "server");
  },
};

export const thirdPartyScenarios: readonly Scenario[] = [
  directScenario(closed, {
    name: "third party",
    title: "A stranger sends to the mapping that a call has opened, and to the address behind it.",
    expected: "works",
  }),
  directScenario(
    { nat: "full cone" },
    {
      name: "third party, full cone",
      title: "The same where the NAT lets everybody in, and no firewall stands beside it.",
      expected: "fails",
    },
  ),
  relayed,
];
