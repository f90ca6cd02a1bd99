import assert from "node:assert/strict";
import { test } from "node:test";
import { countOffloaded, type Flow } from "../../../../src/core/turn/server/flow.ts";
import { baseConfig, Client, PEER, World } from "./world.ts";

function bound(config = {}) {
  const world = new World(config);
  const flows: Flow[] = [];
  world.onHint = (kind, flow) => void (kind === "offload" && flows.push(flow));
  const client = new Client(world);
  const port = client.allocated();
  client.bind(0x4000, `${PEER}:9`);
  const [toPeer, toClient] = flows as [Flow, Flow];
  return { world, client, port, toPeer, toClient };
}

test("what a datapath forwarded by itself counts for the flow, the allocation and the server", () => {
  const { world, client, toPeer, toClient } = bound();
  client.channelData(0x4000, "four");
  countOffloaded(toPeer, 10, 1_600);
  countOffloaded(toClient, 3, 300);
  assert.deepEqual([toPeer.packets, toPeer.bytes, toClient.packets, toClient.bytes], [11, 1_604, 3, 300]);
  // The last of it is known only when the flow has been taken back.
  world.onHint = (kind, flow) => void (kind === "withdraw" && countOffloaded(flow, 1, 100));
  client.refresh(0);
  const event = world.events.find((e) => e.type === "allocation-ended");
  assert.deepEqual(event?.type === "allocation-ended" && event.traffic, {
    packetsToPeers: 12,
    bytesToPeers: 1_704,
    packetsToClient: 4,
    bytesToClient: 400,
  });
  const { packetsToPeers, bytesToPeers, packetsToClients, bytesToClients } = world.server.stats;
  assert.deepEqual([packetsToPeers, bytesToPeers, packetsToClients, bytesToClients], [12, 1_704, 4, 400]);
});

test("what a datapath says is left of an allocation's bandwidth is what user space may carry", () => {
  const { world, client, port, toPeer } = bound({ quotas: { ...baseConfig.quotas, bytesPerSecond: 100_000 } });
  toPeer.account.uplink?.settle(3, world.now);
  assert.equal(client.channelData(0x4000, "four"), undefined);
  assert.equal(world.server.stats.drops.bandwidth, 1);
  assert.notEqual(world.fromPeer(`${PEER}:9`, port, "the other way"), undefined);
  world.advance(1);
  assert.notEqual(client.channelData(0x4000, "four"), undefined);
});

test("a flow's end is that of its channel, its allocation and, toward the client, its permission", () => {
  const { world, client, toPeer, toClient } = bound();
  const start = world.now;
  const ends = () => [toPeer.until, toClient.until].map((until) => (until - start) / 1000);
  assert.deepEqual(ends(), [600, 300]);
  world.advance(100);
  client.permit(PEER);
  assert.deepEqual(ends(), [600, 400]);
  client.bind(0x4000, `${PEER}:9`);
  assert.deepEqual(ends(), [600, 400], "the allocation ends before the channel");
  client.refresh(1_200);
  assert.deepEqual(ends(), [700, 400]);
  client.refresh(600);
  assert.deepEqual(ends(), [700, 400]);
  world.advance(200);
  client.permit(PEER);
  assert.deepEqual(ends(), [700, 600]);
});
