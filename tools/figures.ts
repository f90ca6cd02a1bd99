/**
 * Draws docs/images/figure-1.svg to figure-5.svg: the lab's own networks and pictures, with counts and ports made by hand,
 * so that they stay the same. `node tools/figures.ts`
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Passage } from "../src/lab/passages.ts";
import { layOut } from "../src/lab/report/layout.ts";
import type { Purpose } from "../src/lab/report/path.ts";
import { sceneOf } from "../src/lab/report/scene.ts";
import { drawSvg } from "../src/lab/report/svg.ts";
import type { Scenario } from "../src/lab/scenario.ts";
import { figures } from "../src/lab/scenarios/figures.ts";
import { plan } from "../src/lab/topology.ts";

/** Packets leave each place with these addresses; at the last they arrive, or end. */
interface Way {
  readonly packets: number;
  readonly hops: readonly (readonly [node: string, source?: string, destination?: string])[];
}

interface Drawing {
  readonly title: string;
  readonly description: string;
  readonly ways: readonly Way[];
  readonly legend?: Readonly<Partial<Record<Purpose, string>>>;
}

const packets = 20;
const [alice, bob] = ["10.0.1.2:40000", "10.0.2.2:50000"];
const [home, office] = ["203.0.113.11", "203.0.113.12"];
const server = "203.0.113.1:3478";
const publicBob = "203.0.113.61:50000";
const officeBob = `${office}:50000`;
const relayed = "203.0.113.1:49200";

function both(count: number, ...hops: Way["hops"]): Way[] {
  const back = hops.map(([node], i): Way["hops"][number] => {
    const before = hops[i - 1];
    return before === undefined ? [node] : [node, before[2] as string, before[1] as string];
  });
  return [
    { packets: count, hops },
    { packets: count, hops: back.reverse() },
  ];
}

const bobAsks = both(1, ["bob", bob, server], ["office router", officeBob, server], ["server"]);

const drawings: readonly Drawing[] = [
  {
    title: "Figure 1: two phones on one network",
    description: "Alice and Bob send each other their packets directly. The router is not asked.",
    ways: both(packets, ["alice", alice, "10.0.1.3:50000"], ["bob"]),
  },
  {
    title: "Figure 2: an inside address is signaled",
    description:
      "Alice's packets leave through her router and reach Bob. Bob's go to 10.0.1.2, which nobody on the internet has: they end there. Bob hears Alice, Alice hears nothing.",
    ways: [
      {
        packets,
        hops: [["alice", alice, publicBob], ["home router", `${home}:40000`, publicBob], ["bob"]],
      },
      { packets, hops: [["bob", publicBob, alice]] },
    ],
  },
  {
    title: "Figure 3: the address that a STUN server saw is signaled",
    description:
      "Alice asks the STUN server, which sees 203.0.113.11:40000. Bob sends there, and the router passes his packets on to Alice. Both hear each other.",
    ways: [
      ...both(1, ["alice", alice, server], ["home router", `${home}:40000`, server], ["server"]),
      ...both(packets, ["alice", alice, publicBob], ["home router", `${home}:40000`, publicBob], ["bob"]),
    ],
    legend: { control: "STUN: what is my public address?" },
  },
  {
    title: "Figure 4: STUN and a symmetric NAT",
    description:
      "The STUN server sees Alice at port 61001. Her packets to Bob leave by port 61002, and end at Bob's router, which waits for port 61001. Bob's go to port 61001, and end at Alice's router, which expects the STUN server alone there. Both hear nothing.",
    ways: [
      ...both(1, ["alice", alice, server], ["home router", `${home}:61001`, server], ["server"]),
      ...bobAsks,
      { packets, hops: [["alice", alice, officeBob], ["home router", `${home}:61002`, officeBob], ["office router"]] },
      {
        packets,
        hops: [["bob", bob, `${home}:61001`], ["office router", officeBob, `${home}:61001`], ["home router"]],
      },
    ],
    legend: { control: "STUN: what is my public address?" },
  },
  {
    title: "Figure 5: the same two with TURN",
    description:
      "Alice has a relayed address on the TURN server. Bob sends there; the server hands his packets to Alice over the path that she opened, and sends hers on to Bob. Both hear each other.",
    ways: [
      ...both(packets + 3, ["alice", alice, server], ["home router", `${home}:61001`, server], ["server"]),
      ...bobAsks,
      ...both(packets, ["bob", bob, relayed], ["office router", officeBob, relayed], ["server"]),
    ],
    legend: {
      control: "STUN and TURN; Alice's call is inside it",
      call: "the call, to and from Alice's relayed address :49200",
    },
  },
];

function count(ways: readonly Way[]): Map<string, Passage[]> {
  const found = new Map<string, Passage[]>();
  const add = (node: string, passage: Passage) => found.set(node, [...(found.get(node) ?? []), passage]);
  for (const { packets: number, hops } of ways) {
    for (const [i, [node, source, destination]] of hops.entries()) {
      if (source === undefined || destination === undefined) continue;
      const passage = { protocol: "udp", source, destination, packets: number } as const;
      add(node, { ...passage, direction: "left" });
      const next = hops[i + 1];
      if (next !== undefined) add(next[0], { ...passage, direction: "arrived" });
    }
  }
  return found;
}

/** By file name. */
export function drawFigures(): Map<string, string> {
  const files = drawings.map(({ title, description, ways, legend }, i) => {
    const { topology } = figures[i] as Scenario;
    const layout = layOut(sceneOf({ plan: plan(topology), passages: count(ways) }));
    const id = `figure-${i + 1}`;
    const options = { id, title, description, standalone: true, ...(legend === undefined ? {} : { legend }) };
    return [`${id}.svg`, `${drawSvg(layout, options)}\n`] as const;
  });
  return new Map(files);
}

if (import.meta.main) {
  for (const [name, svg] of drawFigures()) writeFileSync(join(import.meta.dirname, "../docs/images", name), svg);
}
