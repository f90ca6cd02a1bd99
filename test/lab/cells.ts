/** The twelve cells: a home with two hosts, behind which NATs, and what is sent there; and what natlab says of each. */
import { type NatName, nats } from "../../src/lab/nats.ts";
import {
  type GatewayDeclaration,
  type Plan,
  type PlannedGateway,
  plan,
  type Topology,
} from "../../src/lab/topology.ts";
import type { NatBehavior } from "../../src/natlab/behavior.ts";
import { declared, MemoryGround, type SocketPlace, worldOf } from "./cells-in-memory.ts";
import { type Ground, play, type Sent, tell } from "./cells-play.ts";
import { everything, filtering, insideSockets, outside, pair, samePort, strangerPort } from "./cells-script.ts";

export interface Cell {
  readonly name: string;
  readonly gateways: readonly GatewayDeclaration[];
  readonly script: string;
  /** Where kernels do something that cannot be declared: what they do, and natlab. */
  readonly differs?: readonly string[];
}

/** Seconds after which every NAT here forgets. */
const udpTimeout = 4;
export const lifetime: number = udpTimeout * 1000;

function behind(...names: readonly NatName[]): GatewayDeclaration[] {
  return names.map((nat) => ({ nat, udpTimeout }));
}

/** The port is a hash of both addresses, so the NAT finds it again after it has forgotten. */
const hashed = [
  "one:5304 > s11: s11 hears it from nat port 15 | s11 hears it from nat port 19",
  "one:5302 > s11: s11 hears it from nat port 14 | s11 hears it from nat port 20",
  "one:5300 > s11: s11 hears it from nat port 13 | s11 hears it from nat port 21",
];

export const cells: readonly Cell[] = [
  ...(Object.keys(nats) as NatName[]).map((nat) => {
    return {
      name: nat,
      gateways: behind(nat),
      script: everything,
      differs: nat === "mapping by address" ? hashed : [],
    };
  }),
  {
    name: "two port-restricted cones in a row",
    gateways: behind("port-restricted cone", "port-restricted cone"),
    script: everything,
  },
  {
    name: "a full cone behind a symmetric NAT",
    gateways: behind("full cone", "symmetric, random"),
    script: everything,
  },
  { name: "two hosts behind one NAT that hairpins", gateways: behind("hairpin, external source"), script: pair },
];

/**
 * A port is taken for conntrack only toward the remote endpoints that it is in use with. So the second host keeps its
 * port too, and gets another only where the first was before it.
 */
const sharedPort = [
  "two:5500 > s21: s21 hears it from nat port 1, kept | s21 hears it from nat port 2",
  "one:5500 > s21: s21 hears it from nat port 3 | s21 hears it from nat port 1, kept",
];

/** Besides the twelve. */
export const sharedPorts: readonly Cell[] = [
  {
    name: "a port-restricted cone, and one local port",
    gateways: behind("port-restricted cone"),
    script: samePort,
    differs: sharedPort,
  },
  {
    name: "a full cone, and one local port",
    gateways: behind("full cone"),
    script: samePort,
    // To whom it is open is asked by port alone.
    differs: sharedPort.toSpliced(
      1,
      0,
      "stranger > two:5500@s21: one:5500 hears it from stranger | two:5500 hears it from stranger",
    ),
  },
];

/** Must not be told like a full cone. */
export const impostor: Cell = {
  name: "a full cone that is none",
  gateways: behind("port-restricted cone"),
  script: filtering,
};

export const topology: Topology = {
  outside: ["server", "stranger"],
  sites: [...cells, ...sharedPorts, impostor].map(({ name, gateways }) => {
    return { name, hosts: [`${name}: one`, `${name}: two`], gateways };
  }),
};

const planned = plan(topology);

/** Where the sockets of all cells are, by name. */
export function outsidePlaces({ hosts }: Plan): Map<string, SocketPlace> {
  const server = Object.entries(outside).map(
    ([name, [address, port]]) => [name, { host: "server", address, port }] as const,
  );
  const address = hosts.find(({ name }) => name === "stranger")!.addresses[0]!;
  return new Map([...server, ["stranger", { host: "stranger", address, port: strangerPort }]]);
}

/** Where the sockets of a cell's two hosts are, by name. */
export function insidePlaces({ hosts }: Plan, { name, script }: Cell): Map<string, SocketPlace> {
  const places = insideSockets(script).map((socket) => {
    const [number, port] = socket.split(":");
    const host = `${name}: ${number}`;
    const address = hosts.find((one) => one.name === host)!.addresses[0]!;
    return [socket, { host, address, port: Number(port) }] as const;
  });
  return new Map(places);
}

function outermost({ gateways }: Plan, { name }: Cell): PlannedGateway {
  return gateways.findLast(({ site }) => site === name)!;
}

export interface Tale {
  readonly sent: readonly Sent[];
  readonly told: readonly string[];
}

export async function taleOf(cell: Cell, ground: Ground): Promise<Tale> {
  const { outside: nat, declaration } = outermost(planned, cell);
  const sockets = [...outsidePlaces(planned).keys(), ...insidePlaces(planned, cell).keys()];
  const names = new Map(sockets.map((socket) => [ground.addressOf(socket), socket]));
  const sent = await play(ground, cell.script, nat);
  return { sent, told: tell(sent, nat, declared(declaration), names) };
}

/** With the cell's NATs as they are declared, but for `departures`. */
export function inMemory(cell: Cell, departures: Partial<NatBehavior> = {}): Promise<Tale> {
  const world = worldOf(planned, (declaration) => ({ ...declared(declaration), lifetime, ...departures }));
  const places = new Map([...outsidePlaces(planned), ...insidePlaces(planned, cell)]);
  return taleOf(cell, new MemoryGround(world, places, lifetime));
}
