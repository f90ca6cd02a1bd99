/**
 * The twelve named cells with ICE, through real kernels: two agents behind every two of them come to the path that the
 * oracle says, and where that is a direct one the relay carries nothing of what they say.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Lab } from "../../src/lab/lab.ts";
import { Network } from "../../src/lab/network.ts";
import type { IceOutcome } from "../../src/lab/orders.ts";
import { passagesOf } from "../../src/lab/passages.ts";
import { Server } from "../../src/lab/server.ts";
import { canMeet } from "../../src/natlab/meeting.ts";
import { canHairpin } from "../../src/natlab/oracle.ts";
import { main } from "../support/daemon.ts";
import { until } from "../support/until.ts";
import { type Cell, cells } from "./cells.ts";
import { declared } from "./cells-in-memory.ts";
import { atOnce, skip } from "./lab-world.ts";

type Kind = IceOutcome["kind"];

interface Pair {
  readonly name: string;
  readonly hosts: readonly [string, string];
  readonly expected: Kind;
  /** Both keep their own addresses to themselves, so that they can meet through their NAT alone. */
  readonly hidesHosts?: boolean;
}

const isOfTwo = ({ name }: Cell): boolean => name.startsWith("two hosts");
const [shared, apart] = [cells.filter(isOfTwo), cells.filter((cell) => !isOfTwo(cell))];
const natsOf = ({ gateways }: Cell) => gateways.map(declared);

const pairs: readonly Pair[] = [
  ...apart.flatMap((one, n) =>
    apart.slice(n + 1).map((other): Pair => {
      const expected = canMeet(natsOf(one), natsOf(other)) ? "direct" : "relayed";
      return { name: `${one.name} and ${other.name}`, hosts: [one.name, other.name], expected };
    }),
  ),
  ...shared.flatMap((cell): Pair[] => {
    const hosts = [`${cell.name}: one`, `${cell.name}: two`] as const;
    const [nat] = natsOf(cell);
    return [
      { name: cell.name, hosts, expected: "direct" },
      {
        name: `${cell.name}, through it`,
        hosts,
        expected: canHairpin(nat!) ? "direct" : "relayed",
        hidesHosts: true,
      },
    ];
  }),
];

const topology = {
  outside: ["server"],
  sites: cells.map((cell) => {
    const { name, gateways } = cell;
    const hosts = isOfTwo(cell) ? [`${name}: one`, `${name}: two`] : [name];
    // As kernels have it: what a session of seconds needs is not forgotten on the way.
    return { name, hosts, gateways: gateways.map(({ nat }) => ({ nat })) };
  }),
};

const relayPortsIn = (description: string): string[] =>
  [...description.matchAll(/^a=candidate:\S+ \d+ udp \d+ \S+ (\d+) typ relay/gim)].map(([, port]) => port as string);
const withoutHosts = (description: string): string => description.replace(/^a=candidate:.* typ host.*\r?\n/gm, "");

describe("ICE between the named cells", { skip, concurrency: atOnce }, () => {
  let lab: Lab;
  let server: Server;

  before(async () => {
    const options = { postern: [process.execPath, main], roundTrip: 0 };
    lab = new Lab(await Network.build(topology), options);
    server = await Server.start(lab);
    await Promise.all(pairs.flatMap(({ hosts }) => hosts).map((host) => lab.agent(host)));
  });
  after(() => lab?.[Symbol.asyncDispose]());

  /** UDP packets at these ports of the server, in either direction. */
  async function relayed(ports: readonly string[]): Promise<number> {
    const passages = await passagesOf(lab.network.at("server"));
    const at = (address: string): boolean => ports.includes(address.split(":")[1] as string);
    const there = passages.filter(({ protocol, direction, source, destination }) => {
      return protocol === "udp" && at(direction === "arrived" ? destination : source);
    });
    return there.reduce((sum, { packets }) => sum + packets, 0);
  }

  for (const { name: id, hosts, expected, hidesHosts = false } of pairs) {
    test(`${id}: ${expected}`, async () => {
      const agents = await Promise.all(hosts.map((host) => lab.agent(host)));
      const { url, username, credential } = server.turn();
      const iceServers = [{ urls: url, username, credential }];
      const told = await Promise.all(agents.map((agent) => agent.tell("iceOpen", { id, iceServers })));
      const descriptions = hidesHosts ? told.map(withoutHosts) : told;
      await Promise.all(agents.map((agent, n) => agent.tell("iceMeet", { id, description: descriptions[1 - n]! })));
      const paths = () => Promise.all(agents.map((agent) => agent.tell("icePath", { id })));
      // A relayed path may be the first, and the direct one the last. On a busy machine it takes its time.
      await until(`${expected} paths`, async () => (await paths()).every(({ kind }) => kind === expected), {
        within: 60_000,
      });
      // What is still on its way is no part of what follows.
      await delay(200);
      const ports = told.flatMap(relayPortsIn);
      assert.equal(ports.length, 2);
      const before = await relayed(ports);
      const texts = Array.from({ length: 10 }, (_, n) => `${id} ${n}`);
      await Promise.all(agents.map((agent) => agent.tell("send", { id, to: "", texts, every: 5 })));
      for (const agent of agents) {
        assert.deepEqual(
          (await agent.hears(id, texts.length)).map(({ text }) => text),
          texts,
        );
      }
      const carried = (await relayed(ports)) - before;
      assert.deepEqual(
        (await paths()).map(({ kind }) => kind),
        [expected, expected],
      );
      assert.equal(carried > 0, expected === "relayed", `the relay carried ${carried} packets`);
      await Promise.all(agents.map((agent) => agent.tell("iceClose", { id })));
    });
  }
});
