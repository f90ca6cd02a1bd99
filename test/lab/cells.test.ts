/**
 * The same cells in natlab and in real network namespaces, packet by packet: what kernels do with the lab's rules is what
 * `nats` declares of them, and natlab does what is declared.
 */
import assert from "node:assert/strict";
import type { Socket } from "node:dgram";
import { after, before, describe, suite, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Network } from "../../src/lab/network.ts";
import type { NatBehavior } from "../../src/natlab/behavior.ts";
import {
  type Cell,
  cells,
  impostor,
  inMemory,
  insidePlaces,
  lifetime,
  outsidePlaces,
  sharedPorts,
  type Tale,
  taleOf,
  topology,
} from "./cells.ts";
import { declared } from "./cells-in-memory.ts";
import { bindIn, NamespaceGround } from "./cells-in-namespaces.ts";
import { differences } from "./cells-play.ts";
import { everything } from "./cells-script.ts";
import { skip } from "./lab-world.ts";

/** Kernels give two mappings one random port at times, which natlab does not: a coincidence is not there three times. */
function attempts({ gateways }: Cell): number {
  return gateways.some((one) => declared(one).ports.kind === "random") ? 3 : 1;
}

describe("natlab and namespaces", { skip, concurrency: cells.length + sharedPorts.length + 1 }, () => {
  let network: Network;
  let outsideSockets: Map<string, Socket>;

  before(async () => {
    network = await Network.build(topology);
    outsideSockets = await bindIn(network, outsidePlaces(network.plan));
    for (const socket of outsideSockets.values()) socket.setMaxListeners(0);
  });
  after(async () => {
    for (const socket of outsideSockets?.values() ?? []) socket.close();
    await network?.[Symbol.asyncDispose]();
  });

  async function inNamespaces(cell: Cell, { sent }: Tale, attempt = 0): Promise<Tale> {
    const inside = insidePlaces(network.plan, cell);
    const sockets = await bindIn(network, inside);
    const awaited = new Set(sent.flatMap(({ heard = [] }) => heard.map(({ text }) => text)));
    const places = new Map([...outsidePlaces(network.plan), ...inside]);
    const mark = `${cell.name}, ${attempt}:`;
    const options = { lifetime, mark, isAwaited: (text: string) => awaited.has(text) };
    try {
      return await taleOf(cell, new NamespaceGround(places, new Map([...outsideSockets, ...sockets]), options));
    } finally {
      for (const socket of sockets.values()) socket.close();
    }
  }

  for (const cell of [...cells, ...sharedPorts]) {
    test(cell.name, async () => {
      const { differs = [] } = cell;
      const model = await inMemory(cell);
      let found: string[] = [];
      for (let attempt = 0; attempt < attempts(cell); attempt++) {
        // Nothing of the last attempt is remembered.
        if (attempt > 0) await delay(1.25 * lifetime);
        found = differences((await inNamespaces(cell, model, attempt)).told, model.told);
        if (`${found}` === `${differs}`) break;
      }
      assert.deepEqual(found, differs);
    });
  }

  test("another NAT than was declared is told apart", async () => {
    const real = await inNamespaces(impostor, await inMemory(impostor));
    const fullCone = await inMemory(impostor, { filtering: "endpoint-independent" });
    const found = differences(real.told, fullCone.told);
    assert.equal(found.length, 8);
    for (const line of found) assert.match(line, /: lost \| one:5100 hears it from (s12|s21|s22|stranger)$/);
  });
});

const dependences = ["endpoint-independent", "address-dependent", "address-and-port-dependent"] as const;

/** What differs from `behavior` in one thing that shows. */
function departures(behavior: NatBehavior): Partial<NatBehavior>[] {
  const { mapping, filtering, hairpin, ports } = behavior;
  const strict = (one: NatBehavior["mapping"]) => dependences.indexOf(one);
  return [
    ...dependences.filter((one) => one !== mapping).map((one) => ({ mapping: one })),
    ...dependences.filter((one) => one !== filtering).map((one) => ({ filtering: one })),
    // Where mapping and filtering both look at who it is, nothing comes back to be seen.
    ...(mapping === "endpoint-independent"
      ? (["none", "internal", "external"] as const).filter((one) => one !== hairpin).map((one) => ({ hairpin: one }))
      : []),
    ...[0.7, 1.3].map((part) => ({ lifetime: part * lifetime })),
    ...(["outbound", "inbound"] as const).map((refreshedBy) => ({ refreshedBy })),
    // Where a mapping is for no more than the filter lets in there is one session in each.
    ...(strict(filtering) > strict(mapping) ? [{ refreshScope: "mapping" } as const] : []),
    ...(["preservation", "overloading", "random"] as const)
      .filter((kind) => kind !== ports.kind)
      .map((kind) => ({ ports: { kind } })),
    ...(ports.kind === "sequential" ? [] : [{ ports: { kind: "sequential", step: 1 } } as const]),
  ];
}

suite("a NAT that is not what is declared is told in other words", () => {
  for (const cell of cells.filter(({ script, gateways }) => script === everything && gateways.length === 1)) {
    test(cell.name, async () => {
      const { told } = await inMemory(cell);
      for (const departure of departures(declared(cell.gateways[0]!))) {
        const other = await inMemory(cell, departure);
        assert.notDeepEqual(differences(other.told, told), [], JSON.stringify(departure));
      }
    });
  }
});
