/**
 * Offload with several shards, each of which has a program of its own on the same interfaces: all clients' flows are in the
 * kernel, and a worker that ends takes its own away and nobody else's.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { portShare } from "../../src/node/shard/shares.ts";
import { until } from "../support/until.ts";
import { Endpoint } from "./endpoints.ts";
import {
  at,
  channel,
  hasHeard,
  OffloadNetwork,
  peerPort,
  port,
  requireOffload,
  type Served,
  user,
} from "./offload-network.ts";

const faults = fileURLToPath(new URL("../node/shard/faults.ts", import.meta.url));
const shards = 2;
const relayPorts = { min: 50_000, max: 50_999 };
const peer = `${at.peer[4]}:${peerPort}`;

interface Client {
  readonly one: Endpoint;
  readonly shard: number;
  heard: number;
}

describe("offload with two shards", { skip: requireOffload(), timeout: 350_000 }, () => {
  let network: OffloadNetwork;
  let server: Served;
  let told = 0;
  before(async () => {
    network = await OffloadNetwork.open();
    const before = ["env", `NODE_OPTIONS=--import ${faults}`];
    server = await network.start({ before, settings: { shards } });
    const echo = await Endpoint.start(network.peer);
    network.closeBefore(() => echo.stop());
    await echo.ask({ do: "echo", at: peer });
  });
  after(() => network?.close());

  /** With a channel to the peer, both ways in the kernel. */
  async function allocated(): Promise<Client> {
    const options = { host: at.toClient[4], port, username: user.name, password: user.password };
    const one = await Endpoint.start(network.client, options);
    network.closeBefore(() => one.stop());
    const { relayed } = await one.ask({ do: "allocate" });
    const relay = Number(relayed?.[0]?.split(":").at(-1));
    const flows = await server.metric("offloaded_flows");
    await one.ask({ do: "bindChannel", channel, peer });
    await until("its flows", async () => (await server.metric("offloaded_flows")) === flows + 2);
    const parts = Array.from({ length: shards }, (_, i) => portShare(relayPorts, i, shards + 1));
    return { one, shard: parts.findIndex(({ min, max }) => relay >= min && relay <= max), heard: 0 };
  }

  /** Until there is one of each of these shards. */
  async function allocatedOn(wanted: readonly number[]): Promise<Client[]> {
    const made: Client[] = [];
    for (let tries = 0; tries < 30; tries++) {
      made.push(await allocated());
      if (wanted.every((shard) => made.some((one) => one.shard === shard))) return made;
    }
    return assert.fail(`no client of every shard in ${made.length}`);
  }

  /** Whether so many that are sent come back. */
  async function echoes(client: Client, count = 20): Promise<boolean> {
    const texts = Array.from({ length: count }, () => `${told++} and back`);
    await client.one.ask({ do: "relay", to: channel, texts });
    const isBack = await hasHeard(client.one, client.heard + count);
    if (isBack) client.heard += count;
    return isBack;
  }

  const userSpace = () => server.metric("udp_packets_in_total");

  test("clients of both are forwarded by the kernel, and one that ends takes only its own flows away", async () => {
    await until("both programs", () => server.told("offload-is-on") === shards);
    const clients = await allocatedOn([0, 1]);
    const [seen, relayed] = (await server.metrics("udp_packets_in_total", "relayed_packets_to_peers_total")) as [
      number,
      number,
    ];
    for (const client of clients) assert.ok(await echoes(client), `by shard ${client.shard}`);
    assert.equal(await userSpace(), seen, "user space has seen none of it");
    await until("all to be counted", async () => {
      return (await server.metric("relayed_packets_to_peers_total")) === relayed + 20 * clients.length;
    });
    assert.equal(await network.attached(), 2 * shards, "each on both interfaces");

    process.kill(server.pid, "SIGUSR2");
    await until("the end of a worker", () => server.told("shard-ended") === 1);
    const [dead, living] = [0, 1].map((shard) => clients.filter((one) => one.shard === shard)) as [Client[], Client[]];
    await until("its flows to be gone", async () => (await server.metric("offloaded_flows")) === 2 * living.length);
    await until("its program to be detached", async () => (await network.attached()) === 2);
    for (const client of dead) assert.equal(await echoes(client, 1), false, "nobody forwards what nobody knows");
    const after = await userSpace();
    for (const client of living) assert.ok(await echoes(client), "the other's are forwarded as before");
    assert.equal(await userSpace(), after);

    await until("the next one's program", () => server.told("offload-is-on") === shards + 1);
    const again = (await allocatedOn([0])).filter(({ shard }) => shard === 0);
    const before = await userSpace();
    for (const client of [...again, ...living]) assert.ok(await echoes(client));
    assert.equal(await userSpace(), before);
    assert.equal(server.told("offload-failed"), 0);
  });
});
