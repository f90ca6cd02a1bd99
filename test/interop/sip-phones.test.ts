/**
 * Real phones behind real NATs: baresip, in network namespaces, calls through `postern serve` on the internet. Each plays
 * a tone that no other has, and must hear the other's and nothing else.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Namespace } from "../../src/lab/namespace.ts";
import type { NatName } from "../../src/lab/nats.ts";
import type { GatewayDeclaration, SiteDeclaration, Topology } from "../../src/lab/topology.ts";
import { requireIpv6, requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import type { PhoneOptions } from "./sip/baresip.ts";
import { Office, serverHost } from "./sip/office.ts";
import { assertHeardOnly, connect, hangUp, holdAndResume, talk } from "./sip/talk.ts";

const skip =
  requirePrivilege("root", "net-admin", "sys-admin") ||
  requirePeer("baresip", "ip", "nft", "setpriv", "unshare", "nsenter");

/** A site for each party, for a NAT has only one home. */
interface Cell {
  readonly title: string;
  readonly caller: Party;
  readonly callee: Party;
}

interface Party extends Partial<PhoneOptions> {
  readonly gateways: readonly GatewayDeclaration[];
  /** With the caller of its cell. */
  readonly sharesNat?: true;
  /** What its line does by itself about the NAT, with Postern as its STUN server. */
  readonly medianat?: "stun" | "ice";
}

const behind = (nat: NatName, more: Partial<GatewayDeclaration> = {}): Party => ({ gateways: [{ nat, ...more }] });
const twice: Party = { gateways: [{ nat: "symmetric, random" }, { nat: "port-restricted cone" }] };

const cells: readonly Cell[] = [
  {
    title: "port-restricted cone, and symmetric NAT",
    caller: behind("port-restricted cone"),
    callee: behind("symmetric, random"),
  },
  {
    title: "symmetric NATs on both sides",
    caller: behind("symmetric, random"),
    callee: behind("symmetric, in sequence"),
  },
  {
    title: "address-restricted cone, and a firewall that lets only out",
    caller: behind("restricted cone"),
    callee: behind("symmetric, random", { firewall: "inside to outside" }),
  },
  { title: "two NATs in a row on both sides", caller: twice, callee: twice },
  {
    title: "two phones behind one NAT",
    caller: behind("port-restricted cone"),
    callee: { ...behind("port-restricted cone"), sharesNat: true },
  },
  {
    title: "two phones of one home, behind its NAT and the carrier's",
    caller: twice,
    callee: { ...twice, sharesNat: true },
  },
  {
    title: "a phone on TCP, and one on UDP",
    caller: { ...behind("symmetric, random"), transport: "tcp" },
    callee: behind("restricted cone"),
  },
  {
    title: "a phone on UDP, and one on TLS",
    caller: behind("port-restricted cone"),
    callee: { ...behind("symmetric, random"), transport: "tls" },
  },
  {
    title: "E12: a line with STUN, and one without",
    caller: { ...behind("port-restricted cone"), medianat: "stun" },
    callee: behind("symmetric, random"),
  },
  {
    title: "lines with STUN, one behind a symmetric NAT, where its address is wrong",
    caller: { ...behind("symmetric, random"), medianat: "stun" },
    callee: { ...behind("restricted cone"), medianat: "stun" },
  },
  {
    title: "lines with ICE",
    caller: { ...behind("port-restricted cone"), medianat: "ice" },
    callee: { ...behind("port-restricted cone"), medianat: "ice" },
  },
];

const caller = (i: number) => `caller-${i}`;
const callee = (i: number) => `callee-${i}`;
const sites = cells.flatMap((cell, i): SiteDeclaration[] => {
  const { gateways } = cell.caller;
  if (cell.callee.sharesNat) return [{ name: `home ${i}`, hosts: [caller(i), callee(i)], gateways }];
  return [
    { name: `home ${i}`, hosts: [caller(i)], gateways },
    { name: `office ${i}`, hosts: [callee(i)], gateways: cell.callee.gateways },
  ];
});
const carried: SiteDeclaration = { name: "carried", hosts: ["resident"], gateways: twice.gateways };
const topology: Topology = {
  outside: ["server", "six", "four"],
  sites: [...sites, carried],
  ipv6: !skip && !requireIpv6(),
};
const users = ["six", "four", "neighbour", "resident", ...cells.flatMap((_, i) => [caller(i), callee(i)])];

describe("phones behind NATs", { skip, concurrency: 4 }, () => {
  let office: Office;
  before(async () => {
    office = await Office.open(topology, { users, alsoOn: topology.ipv6 ? ["fd00:203::1"] : [] });
  });
  after(() => office?.[Symbol.asyncDispose]());

  for (const [i, cell] of cells.entries()) {
    test(`${cell.title}: both call, hold, resume and hang up`, async () => {
      const [one, other] = await Promise.all([
        office.phone(caller(i), { user: caller(i), tone: 440 + 50 * i, ...optionsOf(cell.caller, office) }),
        office.phone(callee(i), { user: callee(i), tone: 1_000 + 120 * i, ...optionsOf(cell.callee, office) }),
      ]);
      await connect(one, other);
      await talk(one, other);
      await holdAndResume(office.network, one, other);
      await holdAndResume(office.network, other, one);
      await hangUp(other, one);
      await assertHeardOnly(one, other);
      await assertHeardOnly(other, one);
      await connect(other, one);
      await talk(other, one);
      await hangUp(other, one);
      await assertHeardOnly(one, other);
      await assertHeardOnly(other, one);
      const ends = await until("the records of both calls", () => {
        const ended = office
          .logged("call-ended")
          .filter((line) => [line["caller"], line["callee"]].includes(caller(i)));
        return ended.length === 2 && ended;
      });
      assert.deepEqual(
        ends.map(({ end }) => end),
        ["hung up by callee", "hung up by caller"],
      );
    });
  }

  test("a phone on IPv6, and one on IPv4: both call and hang up", { skip: requireIpv6() }, async () => {
    const address = office.network.plan.hosts.find(({ name }) => name === "six")?.addresses.find(isIpv6) as string;
    const server = "[fd00:203::1]:5060";
    const [six, four] = await Promise.all([
      office.phone("six", { user: "six", tone: 2_260, address, server }),
      office.phone("four", { user: "four", tone: 2_400 }),
    ]);
    for (const [one, other] of [
      [six, four],
      [four, six],
    ] as const) {
      await connect(one, other);
      await talk(one, other);
      await hangUp(four, six);
      await assertHeardOnly(one, other);
      await assertHeardOnly(other, one);
    }
  });

  test("two homes behind the same carrier's NAT: both call and hang up", async () => {
    // The other home is plugged into the carrier's box of a home that has two NATs.
    const carrier = office.network.plan.gateways.find(({ site, via }) => site === "carried" && via === undefined)!;
    const address = carrier.inside.replace(/1$/, "9");
    const neighbour = await Namespace.open("neighbour");
    try {
      await office.network
        .at(carrier.name)
        .ip(
          `link add neighbour type veth peer name outside netns ${neighbour.pid}`,
          "link set neighbour master inside",
          "link set neighbour up",
        );
      await neighbour.ip(
        `addr add ${address}/24 dev outside`,
        "link set outside up",
        `route add default via ${carrier.inside}`,
      );
      const [near, far] = await Promise.all([
        office.phone("neighbour", { user: "neighbour", tone: 2_540, address, namespace: neighbour }),
        office.phone("resident", { user: "resident", tone: 2_680 }),
      ]);
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        await connect(one, other);
        await talk(one, other);
        await hangUp(far, near);
        await assertHeardOnly(one, other);
        await assertHeardOnly(other, one);
      }
    } finally {
      await neighbour.close();
    }
  });
});

function optionsOf({ gateways: _, sharesNat: __, medianat, ...options }: Party, office: Office): Partial<PhoneOptions> {
  if (medianat === undefined) return options;
  const stunServer = `stun:${serverHost}:${office.daemon.ports.port}`;
  return { ...options, account: `medianat=${medianat};stunserver="${stunServer}"` };
}

function isIpv6(address: string): boolean {
  return address.includes(":");
}
