/**
 * Calls of real phones whose media the kernel forwards by itself: both hear each other, hold and change as ever, and the
 * figures of a call are those of one that user space has carried.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SequenceMeter } from "../../src/core/rtp/sequence.ts";
import type { ShownCall, ShownStream } from "../../src/server/services/sip/shown.ts";
import { startChild } from "../support/child.ts";
import { peerPath, requireBpf, requireIpv6, requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { through } from "./networks.ts";
import type { Baresip } from "./sip/baresip.ts";
import { Capture, type Captured, voicesIn } from "./sip/capture.ts";
import { Office } from "./sip/office.ts";
import { assertHeardOnly, connect, hangUp, holdAndResume, moreSound, talk } from "./sip/talk.ts";

const skip =
  requireBpf() ||
  requireIpv6() ||
  requirePrivilege("root", "net-admin", "sys-admin") ||
  requirePeer("baresip", "dumpcap", "ethtool", "ip", "nft", "setpriv", "tshark", "unshare", "nsenter");

const users = ["alice", "bob", "carol", "six"];
const topology = {
  outside: ["server", "carol", "six"],
  sites: [
    { name: "home", hosts: ["alice"], gateways: [{ nat: "port-restricted cone" } as const] },
    { name: "office", hosts: ["bob"], gateways: [{ nat: "symmetric, random" } as const] },
  ],
  ipv6: true,
};

describe("media of calls in the kernel", { skip }, () => {
  let office: Office;
  let phones: Readonly<Record<"alice" | "bob" | "carol" | "six", Baresip>>;

  async function open(offload: "auto" | "off"): Promise<void> {
    office = await Office.open(topology, { users, alsoOn: ["fd00:203::1"], flags: ["--offload", offload] });
    const { addresses = [] } = office.network.plan.hosts.find(({ name }) => name === "six") ?? {};
    const address = addresses.find((ip) => ip.includes(":")) ?? assert.fail("six has an address of IPv6");
    const [alice, bob, carol, six] = await Promise.all([
      office.phone("alice", { user: "alice", tone: 440 }),
      office.phone("bob", { user: "bob", tone: 1_000 }),
      office.phone("carol", { user: "carol", tone: 620 }),
      office.phone("six", { user: "six", tone: 770, address, server: "[fd00:203::1]:5060" }),
    ]);
    phones = { alice, bob, carol, six };
  }

  /** Of the daemon; those with labels are summed up. */
  async function metrics(...names: readonly string[]): Promise<number[]> {
    const { httpPort } = office.daemon.ports;
    const program = `fetch("http://127.0.0.1:${httpPort}/metrics").then((r) => r.text()).then(console.log)`;
    const text = await office.network.at("server").run([process.execPath, "-e", program]);
    const values = new Map(text.split("\n").map((line) => line.split(" ") as [string, string]));
    return names.map((name) => Number(values.get(`postern_${name}`)));
  }

  async function flowsAre(count: number): Promise<void> {
    await until(`${count} flows in the kernel`, async () => (await metrics("offloaded_flows"))[0] === count);
  }

  /** Its sound does not leave it. */
  function mute(place: string): Promise<void> {
    const chain = "chain out { type filter hook output priority 0; udp dport 40000-40999 drop; }";
    return office.network.at(place).nft(`table inet mute { ${chain}; }\n`);
  }

  function unmute(place: string): Promise<void> {
    return office.network.at(place).nft("delete table inet mute\n");
  }

  /** Whether nothing comes in any more, to the kernel's counters neither. */
  async function isQuiet(): Promise<boolean> {
    const counts = async () =>
      (await office.told<ShownCall>("calls"))[0]?.streams.map(({ packetsIn }) => packetsIn).join();
    const before = await counts();
    return before === (await counts());
  }

  /** What a party has said, as it came to the server, and what its call's record has to say of it. */
  function assertCounted(stream: ShownStream, captured: readonly Captured[], offload: "auto" | "off"): void {
    const { local, packetsIn, bytesIn, drops, lost, jitterMs } = stream;
    const voices = voicesIn(captured).filter(({ destination }) => destination === local);
    // Before the answer has come, on a busy machine, and before a phone is learned; what is not RTP is no voice.
    const dropped = (drops.idle ?? 0) + (drops.learning ?? 0);
    assert.ok(voices.length > 250);
    assert.deepEqual([packetsIn + dropped, bytesIn], [voices.length, 172 * packetsIn], `${stream.party} (${offload})`);
    const meter = new SequenceMeter();
    for (const { ssrc, sequence, at, data } of voices.slice(dropped)) {
      meter.handle(ssrc, sequence, data.readUInt32BE(4) / 8, at);
    }
    assert.equal(lost, meter.lost);
    // User space looks at a packet when it has been woken; the kernel does at once, as the capture does.
    if (offload === "auto")
      assert.ok(Math.abs(jitterMs - meter.jitter) < 0.3, `${jitterMs}, and not ${meter.jitter} ms`);
  }

  for (const offload of ["auto", "off"] as const) {
    describe(`offload: ${offload}`, () => {
      before(() => open(offload));
      after(() => office?.[Symbol.asyncDispose]());

      test("a call's record tells of every packet, of its loss and of its jitter", async () => {
        const { alice, bob } = phones;
        await using capture = await Capture.start(office, "server");
        await connect(alice, bob);
        await talk(alice, bob);
        if (offload === "auto") await flowsAre(2);
        await Promise.all([moreSound(office.network, alice, 300), moreSound(office.network, bob, 300)]);
        const [now] = await office.told<ShownCall>("calls");
        for (const { heard, payloadType } of now?.streams ?? assert.fail("there is a call")) {
          assert.ok(Date.now() - Date.parse(heard ?? "") < 5_000, `heard ${heard}`);
          assert.equal(payloadType, 0);
        }
        // What is on its way when a call ends belongs to nobody.
        await Promise.all(["alice", "bob"].map(mute));
        await until("all that was said to be counted", isQuiet);
        await hangUp(alice, bob);
        const [call] = await office.told<ShownCall>("calls", "--ended");
        const captured = await capture.packets();
        assert.equal(call?.streams.length, 2);
        for (const stream of call.streams) assertCounted(stream, captured, offload);
        const [one, other] = call.streams as [ShownStream, ShownStream];
        const passedOn = ({ packetsIn, drops }: ShownStream) => packetsIn - (drops["no-way"] ?? 0);
        assert.deepEqual([one.packetsOut, other.packetsOut], [passedOn(other), passedOn(one)]);
      });
    });
  }

  describe("with offload", () => {
    before(() => open("auto"));
    after(() => office?.[Symbol.asyncDispose]());

    test("between NATs: both call, hold, resume and hang up, and nearly all of it was forwarded there", async () => {
      const { alice, bob } = phones;
      const names = ["media_packets_total", 'offload_datagrams_total{outcome="forwarded"}'];
      const before = await metrics(...names);
      await connect(alice, bob);
      await talk(alice, bob);
      await flowsAre(2);
      await holdAndResume(office.network, alice, bob, () => flowsAre(0));
      await flowsAre(2);
      await holdAndResume(office.network, bob, alice, () => flowsAre(0));
      await flowsAre(2);
      await Promise.all([moreSound(office.network, alice, 250), moreSound(office.network, bob, 250)]);
      await hangUp(alice, bob);
      await flowsAre(0);
      await assertHeardOnly(alice, bob);
      await assertHeardOnly(bob, alice);
      const [all, byKernel] = (await metrics(...names)).map((now, i) => now - before[i]!) as [number, number];
      assert.ok(byKernel > 0.85 * all && byKernel <= all, `${byKernel} of ${all} packets`);
    });

    for (const [from, to] of [
      ["carol", "six"],
      ["six", "alice"],
    ] as const) {
      test(`${from} and ${to}, over IPv4 and IPv6: both hear each other, and checksums are right`, async () => {
        const [one, other] = [phones[from], phones[to]];
        await connect(one, other);
        await talk(one, other);
        await flowsAre(2);
        // Sums are made when a packet leaves the server at the latest, so that what arrives can be verified.
        await office.network.at("server").run([peerPath("ethtool")!, "-K", "outside", "tx", "off"]);
        for (const place of [from, to].filter((name) => name !== "alice")) {
          assert.deepEqual(await checksums(place), Array<number>(100).fill(good));
        }
        await hangUp(one, other);
        await flowsAre(0);
        await assertHeardOnly(one, other);
        await assertHeardOnly(other, one);
      });
    }

    test("who falls silent in the kernel is known to be, and the call goes on", async () => {
      const { alice, bob } = phones;
      await connect(alice, bob);
      await talk(alice, bob);
      await flowsAre(2);
      await mute("bob");
      const heard = async () => {
        const [call] = await office.told<ShownCall>("calls");
        const ages = call?.streams.map(({ party, heard }) => [party, Date.now() - Date.parse(heard ?? "")]);
        return Object.fromEntries(ages ?? []) as Record<"caller" | "callee", number>;
      };
      await until("bob to be silent", async () => (await heard()).callee > 3_000);
      assert.ok((await heard()).caller < 3_000, "alice is heard all the time");
      await unmute("bob");
      await until("bob to be heard again", async () => (await heard()).callee < 1_500);
      await hangUp(alice, bob);
    });
  });

  /** As tshark sees the next hundred packets of sound that arrive there. */
  async function checksums(place: string): Promise<number[]> {
    const directory = await mkdtemp(join(tmpdir(), "postern-checksums-"));
    const file = join(directory, "sound.pcap");
    try {
      const filter = "udp and inbound and portrange 10000-10100 and greater 180";
      const what = ["-i", "outside", "-f", filter, "-c", "100", "-w", file];
      const capture = await startChild([...through(office.network.at(place)), peerPath("dumpcap")!, ...what]);
      await capture.ended({ within: 60_000 });
      const fields = ["-T", "fields", "-e", "udp.checksum.status", "-o", "udp.check_checksum:TRUE"];
      const reader = await startChild([peerPath("tshark")!, "-r", file, ...fields]);
      await reader.ended({ within: 60_000 });
      return (reader.output().match(/^\d+$/gm) ?? []).map(Number);
    } finally {
      await rm(directory, { recursive: true });
    }
  }
});

/** tshark's word for a checksum that is right. */
const good = 1;
