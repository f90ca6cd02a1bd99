/**
 * coturn's own client against a server of two shards and a worker for streams: clients that are each other's peers, and pairs
 * of ports whose second is claimed by a token, wherever the kernel puts them. Which shard that is hangs on the client's port,
 * so several at once meet every case.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { requirePeer } from "../support/peers.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { type RelayUnderTest, startRelay } from "../support/relay-under-test.ts";
import { messageBytes, messages, runUclient } from "./uclient.ts";

const skip = requirePeer("turnutils_uclient");
const user = { name: "alice", password: "wonderland" };
const pairs = 6;

describe("coturn's client and two shards", { skip, timeout: 240_000 }, () => {
  let relay: RelayUnderTest;
  let port: number;
  let source = 10;

  before(async () => {
    port = await freePort();
    relay = await startRelay({
      addresses: ["127.0.0.1"],
      user,
      relayPorts: await freePortRange(256),
      allowPeers: ["127.0.0.0/8"],
      channelRange: "rfc5766",
      postern: { shards: 2 },
      port,
    });
  });

  after(() => relay.stop());

  const handedOver = () => relay.metric("postern_shard_packets_total");

  for (const { name, args, sessions } of [
    { name: "UDP, client to client, channels", args: ["-y", "-c"], sessions: 2 },
    { name: "UDP, client to client, Send indications", args: ["-y", "-c", "-s"], sessions: 2 },
    { name: "TCP, client to client, channels", args: ["-t", "-y", "-c"], sessions: 2 },
    { name: "UDP, pairs of ports by token, client to client", args: ["-y"], sessions: 4 },
    { name: "TCP, pairs of ports by token, client to client", args: ["-t", "-y"], sessions: 4 },
  ]) {
    test(`${name}: nothing is lost`, async () => {
      const before = (await handedOver()) ?? 0;
      const run = () => {
        const from = ["-L", `127.0.1.${source++}`];
        return runUclient("127.0.0.1", ["-p", String(port), "-u", user.name, "-w", user.password, ...args, ...from]);
      };
      for (const result of await Promise.all(Array.from({ length: pairs }, run))) {
        assert.equal(result.sentBytes, sessions * messages * messageBytes);
        assert.equal(result.receivedBytes, result.sentBytes);
      }
      const crossed = ((await handedOver()) ?? 0) - before;
      // All TCP clients are of one worker.
      if (args.includes("-t")) assert.equal(crossed, 0);
      else assert.ok(crossed > 0, "some pair of clients was of two shards");
      assert.equal(await relay.metric("postern_shard_packets_lost_total"), 0);
    });
  }
});
