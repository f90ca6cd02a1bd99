/** What the kernel forwards, with what it leaves to user space, is what user space alone relays. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Datapath } from "../../../../src/node/datapath/datapath.ts";
import { DgramDatapath } from "../../../../src/node/datapath/dgram.ts";
import { EbpfDatapath } from "../../../../src/node/datapath/ebpf/ebpf.ts";
import { ownProgram } from "../../../../src/node/datapath/ebpf/program-source.ts";
import { MmsgDatapath } from "../../../../src/node/datapath/mmsg.ts";
import { requireBpf, requireIpv6, requirePeer, requirePrivilege } from "../../../support/peers.ts";
import { type Outcome, relayRandomly } from "../differential.ts";
import { LinkedHosts } from "./over-links.ts";

const skip = requireBpf() || requirePrivilege("root", "sys-admin") || requireIpv6() || requirePeer("ip");

/** Over each family; a million in all for who asks for it. */
const packets = process.env.POSTERN_STRESS === "1" ? 500_000 : 10_000;
const ports = { listener: 3_478, peers: 9_000, clients: 9_100 };
const reports = { flowFailed: assert.ifError, stoodDown: assert.fail, changed: assert.ifError };

/** Without what there is of requests, which clients send again when the machine is busy. */
function mediaOf({ ways, drops, server }: Outcome) {
  const { packetsToPeers, bytesToPeers, packetsToClients, bytesToClients } = server;
  return { ways, drops, unrelayed: server.drops, packetsToPeers, bytesToPeers, packetsToClients, bytesToClients };
}

for (const family of [4, 6] as const) {
  describe(`${packets} random packets over virtual links, IPv${family}`, { skip }, () => {
    test("the same go out of dgram, of mmsg, and of either with the kernel forwarding", async (t) => {
      await using hosts = await LinkedHosts.open();
      const relay = (datapath: Datapath) =>
        relayRandomly(datapath, family, ports, 20_261_121 + family, packets, hosts.ground(family));
      const expected = await relay(new DgramDatapath());
      const isSame = (outcome: Outcome) => assert.deepEqual(mediaOf(outcome), mediaOf(expected));
      assert.ok(Object.keys(expected.ways).length > 12, Object.keys(expected.ways).join("; "));
      isSame(await relay(new MmsgDatapath()));
      for (const inner of [new MmsgDatapath(), new DgramDatapath()]) {
        const datapath = new EbpfDatapath(inner, ownProgram(), reports);
        isSame(await relay(datapath));
        const { forwarded, tooLong, unusual, failed, policed } = datapath.offloaded.datagrams;
        t.diagnostic(JSON.stringify(datapath.offloaded.datagrams));
        assert.ok(forwarded > packets / 4 && tooLong > 0 && unusual > 0, `${forwarded} forwarded`);
        assert.deepEqual([failed, policed], [0, 0]);
      }
    });
  });
}
