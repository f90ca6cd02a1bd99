/**
 * Strangers at the media ports of real calls: nothing of theirs reaches a phone, nothing of the phones reaches them, and
 * what they waste is over when they end.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { ShownCall } from "../../src/server/services/sip/shown.ts";
import type { Child } from "../support/child.ts";
import { requireBpf, requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import type { Baresip } from "./sip/baresip.ts";
import { Capture, type Captured, isFrom, type Voice, voicesIn } from "./sip/capture.ts";
import { domain, Office, serverHost } from "./sip/office.ts";
import { assertHeardOnly, connect, hangUp, moreSound, talk } from "./sip/talk.ts";

const skip =
  requirePrivilege("root", "net-admin", "sys-admin") ||
  requirePeer("baresip", "dumpcap", "ethtool", "ip", "nft", "setpriv", "unshare", "nsenter");
/** No phone happens to choose one of these. */
const [malicious, evil] = [0x6d616c6c, 0x65766521] as const;
const strangers = [malicious, evil] as const;
const users = ["alice", "bob", "carol", "dave"];
const topology = {
  outside: ["server", "mallory", "eve"],
  sites: [
    { name: "home", hosts: ["alice"], gateways: [{ nat: "port-restricted cone" } as const] },
    { name: "office", hosts: ["bob"], gateways: [{ nat: "symmetric, random" } as const] },
    { name: "hotel", hosts: ["carol", "dave"], gateways: [{ nat: "restricted cone" } as const] },
  ],
};
const [low, high] = [40_000, 40_999];
const mediaOfServer = `udp dport ${low}-${high}`;

function flood(office: Office, place: string, ...args: readonly (string | number)[]): Promise<Child> {
  const script = new URL("sip/flood.ts", import.meta.url).pathname;
  return office.start(place, [process.execPath, script, ...args.map(String)]);
}

/** While it is muted, a phone's packets of sound do not leave it. */
function mute(office: Office, { place }: Baresip): Promise<void> {
  const chain = `chain out { type filter hook output priority 0; ${mediaOfServer} drop; }`;
  return office.network.at(place).nft(`table inet mute { ${chain}; }\n`);
}

function unmute(office: Office, { place }: Baresip): Promise<void> {
  return office.network.at(place).nft("delete table inet mute\n");
}

/** Once more over all ports, and once more again: the first round may have begun before. */
async function rounds(sprayers: readonly Child[]): Promise<void> {
  const done = () => sprayers.map((sprayer) => sprayer.output().split("round").length - 1);
  const before = done();
  await until("two more rounds", () => done().every((count, i) => count >= before[i]! + 2), { within: 60_000 });
}

for (const offload of ["off", "auto"] as const) {
  const isMissing = skip || (offload === "auto" && requireBpf());
  describe(`media of real calls, and strangers (offload: ${offload})`, { skip: isMissing }, () => {
    let office: Office;
    let phones: readonly [Baresip, Baresip, Baresip, Baresip];
    before(async () => {
      office = await Office.open(topology, { users, flags: ["--offload", offload] });
      phones = (await Promise.all(
        users.map((user, i) => office.phone(user, { user, tone: [440, 1_000, 620, 770][i] as number })),
      )) as [Baresip, Baresip, Baresip, Baresip];
    });
    after(() => office?.[Symbol.asyncDispose]());

    test("sprayed over all ports before a phone speaks, while it is learned and later: nothing passes, either way", async () => {
      const [alice, bob] = phones;
      const captures = await Promise.all(
        ["alice", "bob", "mallory", "eve"].map((place) => Capture.start(office, place)),
      );
      const sprayers = await Promise.all([
        flood(office, "mallory", "spray", serverHost, low, high, malicious),
        flood(office, "eve", "spray", serverHost, low, high, evil),
      ]);
      await Promise.all([mute(office, alice), mute(office, bob)]);
      const [mine, others] = [alice.events.length, bob.events.length];
      await alice.press("dial", `sip:bob@${domain}`);
      await bob.tells("CALL_INCOMING", { skip: others });
      await rounds(sprayers); // Nobody has answered.
      await bob.press("accept");
      await alice.tells("CALL_ESTABLISHED", { skip: mine });
      await rounds(sprayers); // Nobody has spoken.
      await unmute(office, bob);
      await rounds(sprayers); // One has spoken.
      await unmute(office, alice);
      await talk(alice, bob);
      await rounds(sprayers); // Both speak.
      const [call] = await office.told<ShownCall>("calls");
      for (const { drops, party } of call?.streams ?? []) {
        assert.ok((drops.stranger ?? 0) >= 40, `the port of ${party} was sprayed, and that is told: ${drops.stranger}`);
      }
      await hangUp(bob, alice);
      await Promise.all(sprayers.map((sprayer) => sprayer.stop()));
      const [atAlice, atBob, atMallory, atEve] = (await Promise.all(captures.map((one) => one.packets()))) as [
        Captured[],
        Captured[],
        Captured[],
        Captured[],
      ];
      for (const packets of [atAlice, atBob]) {
        const heard = voicesIn(packets).filter((one) => isFrom(one, serverHost));
        assert.ok(heard.length > 50, `${heard.length} packets of the other`);
        assert.deepEqual(new Set(heard.map(({ ssrc }) => ssrc)).size, 1, "of the other alone");
        assert.ok(!packets.some(({ data }) => strangers.some((ssrc) => data.includes(bytesOf(ssrc)))));
      }
      for (const packets of [atMallory, atEve]) {
        assert.ok(packets.length > 10_000, `${packets.length} packets were sent`);
        assert.deepEqual(
          packets.filter((one) => isFrom(one, serverHost)),
          [],
        );
      }
      await assertHeardOnly(alice, bob);
      await assertHeardOnly(bob, alice);
      await Promise.all(captures.map((one) => one[Symbol.asyncDispose]()));
    });

    for (const [whose, forged] of [
      ["a stranger's address", false],
      ["the phone's own address, forged", true],
    ] as const) {
      test(`a second of junk at full rate at one port, from ${whose}, is over when it ends, and disturbs no other call`, async () => {
        const [alice, bob, carol, dave] = phones;
        await connect(alice, bob);
        await connect(carol, dave);
        await Promise.all([talk(alice, bob), talk(carol, dave)]);
        if (forged) await forge(office, "mallory", outsideOf(office, "home"));
        const captures = await Promise.all([...users, "mallory"].map((place) => Capture.start(office, place)));
        const port = await mediaPortOf(office, alice);
        await moreSound(office.network, carol, 25);
        const junk = await flood(office, "mallory", "second", serverHost, port, port, malicious);
        await junk.ended();
        await moreSound(office.network, alice, 100);
        await Promise.all([moreSound(office.network, bob, 100), moreSound(office.network, carol, 100)]);
        await Promise.all([hangUp(alice, bob), hangUp(carol, dave)]);
        const [atAlice, atBob, atCarol, atDave, atMallory] = (await Promise.all(
          captures.map((one) => one.packets()),
        )) as [Captured[], Captured[], Captured[], Captured[], Captured[]];
        const sent = atMallory.filter(({ destination }) => destination === `${serverHost}:${port}`);
        assert.ok(sent.length > 10_000, `${sent.length} packets of junk`);
        const end = sent.at(-1)!.at;
        for (const [from, to] of [
          [atAlice, atBob],
          [atBob, atAlice],
        ] as const) {
          const lost = lostBetween(from, to, end);
          assert.ok(lost <= 5, `${lost} packets were lost after the junk's end: 100 ms are 5`);
        }
        for (const [from, to] of [
          [atCarol, atDave],
          [atDave, atCarol],
        ] as const) {
          assert.equal(lostBetween(from, to), 0, "of another call nothing is lost");
        }
        for (const packets of [atAlice, atBob, atCarol, atDave]) {
          assert.ok(!packets.some(({ data }) => data.includes(bytesOf(malicious))));
        }
        assert.deepEqual(
          atMallory.filter((one) => isFrom(one, serverHost)),
          [],
        );
        if (forged) await office.network.at("mallory").nft("delete table ip forge\n");
        await Promise.all(captures.map((one) => one[Symbol.asyncDispose]()));
      });
    }
  });
}

/** What `from` has said since then, and `to` has not heard: of what was said while both were watched. */
function lostBetween(from: readonly Captured[], to: readonly Captured[], since = 0): number {
  const heard = new Set(voicesIn(to.filter((one) => isFrom(one, serverHost))).map(({ sequence }) => sequence));
  const said = voicesIn(from.filter((one) => !isFrom(one, serverHost)));
  const isHeard = ({ sequence }: Voice) => heard.has(sequence);
  const watched = said.slice(said.findIndex(isHeard), said.findLastIndex(isHeard));
  assert.ok(watched.length > 100, `${watched.length} packets were seen at both`);
  return watched.filter((one) => one.at > since && !isHeard(one)).length;
}

/** Lets a host's packets of media come from another's address. */
function forge(office: Office, place: string, address: string): Promise<void> {
  const chain = `chain post { type nat hook postrouting priority 100; ${mediaOfServer} snat to ${address}; }`;
  return office.network.at(place).nft(`table ip forge { ${chain}; }\n`);
}

function outsideOf(office: Office, site: string): string {
  return office.network.plan.gateways.find((one) => one.site === site)!.outside;
}

/** The server's port for what a caller says. */
async function mediaPortOf(office: Office, { user }: Baresip): Promise<number> {
  const calls = await office.told<ShownCall>("calls");
  const streams = calls.find(({ caller }) => caller.name === user)?.streams ?? [];
  return Number(streams.find(({ party }) => party === "caller")?.local?.split(":")[1]);
}

function bytesOf(ssrc: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(ssrc);
  return bytes;
}
