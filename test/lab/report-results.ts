/** Results made by hand: a plan, and what would have been counted in it. */
import type { Passage } from "../../src/lab/passages.ts";
import type { Outcome, Result, Scenario } from "../../src/lab/scenario.ts";
import { plan, type SiteDeclaration, type Topology } from "../../src/lab/topology.ts";

/** Where packets are, and what they bear when they leave it; the last arrives, or ends where it is. */
type Hop = readonly [node: string, source?: string, destination?: string];

export class Counted {
  readonly passages: Map<string, Passage[]> = new Map();
  readonly protocol: Passage["protocol"];

  constructor(protocol: Passage["protocol"] = "udp") {
    this.protocol = protocol;
  }

  /** `packets`: one number, or how many leave each hop. */
  send(packets: number | readonly number[], ...hops: readonly Hop[]): this {
    for (const [i, [node, source, destination]] of hops.entries()) {
      if (source === undefined || destination === undefined) continue;
      const count = typeof packets === "number" ? packets : (packets[i] as number);
      const passage = { protocol: this.protocol, source, destination, packets: count };
      this.#add(node, { ...passage, direction: "left" });
      const next = hops[i + 1];
      if (next !== undefined) this.#add(next[0], { ...passage, direction: "arrived" });
    }
    return this;
  }

  /** There by the hops, and back by the same. */
  exchange(packets: number, ...hops: readonly Hop[]): this {
    const back = hops.map(([node], i): Hop => {
      const before = hops[i - 1];
      return before === undefined ? [node] : [node, before[2] as string, before[1] as string];
    });
    return this.send(packets, ...hops).send(packets, ...back.reverse());
  }

  #add(node: string, passage: Passage): void {
    this.passages.set(node, [...(this.passages.get(node) ?? []), passage]);
  }
}

export function site(
  name: string,
  hosts: readonly string[],
  ...gateways: SiteDeclaration["gateways"]
): SiteDeclaration {
  return { name, hosts, gateways: gateways.length > 0 ? gateways : [{ nat: "port-restricted cone" }] };
}

export interface ResultOptions extends Partial<Outcome>, Partial<Omit<Scenario, "run" | "topology">> {
  readonly roundTrip?: number;
}

export function resultOf(topology: Topology, counted: Counted, options: ResultOptions = {}): Result {
  const { name = "a call", title = "Alice calls Bob.", expected = "works", roundTrip = 0 } = options;
  const { outcome = "works", why = "alice hears 20 of 20", figures, screen } = options;
  return {
    scenario: { name, title, topology, expected, run: () => Promise.reject(new Error("made by hand")) },
    roundTrip,
    outcome,
    why,
    passed: outcome === expected,
    ...(figures === undefined ? {} : { figures }),
    ...(screen === undefined ? {} : { screen }),
    plan: plan(topology),
    passages: counted.passages,
  };
}

export const homeAndOffice: Topology = {
  outside: ["server"],
  sites: [site("home", ["alice"], { nat: "symmetric, random" }), site("office", ["bob"])],
};

/** The documents' figure 4. */
export function symmetricCall(options: ResultOptions = {}): Result {
  const counted = new Counted()
    .exchange(
      1,
      ["alice", "10.0.1.2:20000", "203.0.113.1:3478"],
      ["home router", "203.0.113.11:3333", "203.0.113.1:3478"],
      ["server"],
    )
    .exchange(
      1,
      ["bob", "10.0.2.2:20000", "203.0.113.1:3478"],
      ["office router", "203.0.113.12:20000", "203.0.113.1:3478"],
      ["server"],
    )
    .send(
      15,
      ["alice", "10.0.1.2:20000", "203.0.113.12:20000"],
      ["home router", "203.0.113.11:4444", "203.0.113.12:20000"],
      ["office router"],
    )
    .send(
      15,
      ["bob", "10.0.2.2:20000", "203.0.113.11:3333"],
      ["office router", "203.0.113.12:20000", "203.0.113.11:3333"],
      ["home router"],
    );
  const failed = { name: "figure 4", expected: "fails", outcome: "fails", why: "symmetric NAT: TURN needed" } as const;
  return resultOf(homeAndOffice, counted, { ...failed, ...options });
}

/** As much as a picture must hold: two sites of two hosts behind two gateways, and four hosts outside. */
export function crowded(): Result {
  const gateways: SiteDeclaration["gateways"] = [
    { nat: "hairpin, internal source", firewall: "no VoIP ports", udpTimeout: 30 },
    { nat: "port-restricted cone, other ports", firewall: "only 443, inspected", rewritesPayload: true },
  ];
  const counted = new Counted();
  const [homeIn, homeOut] = ["100.64.11.2", "203.0.113.11"];
  const [officeIn, officeOut] = ["100.64.21.2", "203.0.113.12"];
  for (const [i, host] of ["alice", "anna"].entries()) {
    const at = (ip: string, port: number): string => `${ip}:${port + i}`;
    const own = `10.0.1.${i + 2}:5000${i}`;
    const [first, second] = [at(homeIn, 41_000), at(homeOut, 42_000)];
    const way = (to: string): Hop[] => [
      [host, own, to],
      ["home router 1", first, to],
      ["home router 2", second, to],
    ];
    counted.exchange(12_345, ...way("203.0.113.1:3478"), ["server"]);
    counted.exchange(7, ...way("203.0.113.62:20000"), ["relay"]);
    const called = at(officeOut, 52_000);
    counted.exchange(
      1_500,
      ...way(called),
      ["office router 2", second, at(officeIn, 51_000)],
      ["office router 1", second, `10.0.2.${i + 2}:6000${i}`],
      [i === 0 ? "bob" : "berta"],
    );
    counted.exchange(
      3,
      [i === 0 ? "bob" : "berta", `10.0.2.${i + 2}:6000${i}`, "203.0.113.1:3478"],
      ["office router 1", at(officeIn, 51_000), "203.0.113.1:3478"],
      ["office router 2", called, "203.0.113.1:3478"],
      ["server"],
    );
  }
  counted.send(9, ["stranger", "203.0.113.63:9", "203.0.113.11:42000"], ["home router 2"]);
  counted.exchange(6, ["server", "203.0.113.1:50000", "203.0.113.61:7000"], ["carol"]);
  const topology: Topology = {
    outside: ["server", "carol", "relay", "stranger"],
    sites: [site("home", ["alice", "anna"], ...gateways), site("office", ["bob", "berta"], ...gateways)],
  };
  return resultOf(topology, counted, { name: "crowded" });
}
