/** What the kernel forwards, with what it leaves to user space, is what user space alone relays. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Datapath } from "../../../../src/node/datapath/datapath.ts";
import { DgramDatapath } from "../../../../src/node/datapath/dgram.ts";
import { EbpfDatapath } from "../../../../src/node/datapath/ebpf/ebpf.ts";
import { ownProgram } from "../../../../src/node/datapath/ebpf/program-source.ts";
import { MmsgDatapath } from "../../../../src/node/datapath/mmsg.ts";
import { requireBpf, requireIpv6, requirePeer, requirePrivilege, requireTap } from "../../../support/peers.ts";
import { mediaOf, type Outcome, relayRandomly } from "../differential.ts";
import { LinkedHosts } from "./over-links.ts";

const skip = requireBpf() || requirePrivilege("root", "sys-admin") || requireIpv6() || requirePeer("ip");

/** Over each family; a million in all for who asks for it. */
const packets = process.env.POSTERN_STRESS === "1" ? 500_000 : 10_000;
const ports = { listener: 3_478, peers: 9_000, clients: 9_100 };
const reports = { flowFailed: assert.ifError, stoodDown: assert.fail, changed: assert.ifError };

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

/** Enough of each kind. */
const fuzzedPackets = 4_000;

for (const family of [4, 6] as const) {
  describe(`${fuzzedPackets} packets, of which the link duplicates, overtakes, breaks, cuts off and pads some, IPv${family}`, {
    skip: skip || requireTap(),
  }, () => {
    test("the same go out of dgram, of mmsg, and with the kernel forwarding", async (t) => {
      await using hosts = await LinkedHosts.open({ isFuzzed: true });
      const ground = hosts.ground(family);
      const relay = (datapath: Datapath) =>
        relayRandomly(datapath, family, ports, 20_261_122 + family, fuzzedPackets, ground);
      const expected = mediaOf(await relay(new DgramDatapath()));
      const once = (await hosts.fuzzed())!;
      t.diagnostic(JSON.stringify(once));
      assert.ok(Math.min(...Object.values(once)) > fuzzedPackets / 100);
      assert.deepEqual(mediaOf(await relay(new MmsgDatapath())), expected);
      const datapath = new EbpfDatapath(new MmsgDatapath(), ownProgram(), reports);
      const {
        packetsToPeers,
        packetsToClients,
        bytesToPeers: _to,
        bytesToClients: _from,
        ...rest
      } = mediaOf(await relay(datapath));
      // What was broken so that the sum of UDP shows it leaves with a sum that shows it, and counts.
      const more = packetsToPeers + packetsToClients - expected.packetsToPeers - expected.packetsToClients;
      assert.ok(more >= 0 && more <= once.broken, `${more} more`);
      assert.deepEqual({ ...expected, ...rest }, expected);
      const { forwarded, failed, policed } = datapath.offloaded.datagrams;
      t.diagnostic(JSON.stringify(datapath.offloaded.datagrams));
      assert.ok(forwarded > fuzzedPackets / 4, `${forwarded} forwarded`);
      assert.deepEqual([failed, policed], [0, 0]);
      const threeTimes = Object.fromEntries(Object.entries(once).map(([kind, count]) => [kind, 3 * count]));
      assert.deepEqual(await hosts.fuzzed(), threeTimes, "the link did the same to each");
    });
  });
}
