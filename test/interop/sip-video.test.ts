/** Video calls: two real phones behind NATs, whose moving pictures and sound pass both ways as they were sent. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Topology } from "../../src/lab/topology.ts";
import type { ShownCall } from "../../src/server/services/sip/shown.ts";
import { requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import type { Baresip } from "./sip/baresip.ts";
import { Capture, type Captured, isFrom, type Voice, voicesIn } from "./sip/capture.ts";
import { Office, serverHost } from "./sip/office.ts";
import { assertHeardOnly, connect, hangUp, talk } from "./sip/talk.ts";

const skip =
  requirePrivilege("root", "net-admin", "sys-admin") ||
  requirePeer("baresip", "dumpcap", "ethtool", "ip", "nft", "setpriv", "unshare", "nsenter");
const topology: Topology = {
  outside: ["server"],
  sites: [
    { name: "home", hosts: ["alice"], gateways: [{ nat: "port-restricted cone" }] },
    { name: "office", hosts: ["bob"], gateways: [{ nat: "symmetric, random" }] },
  ],
};

/** A camera that nobody needs, and a screen that nobody sees. */
const video = {
  account: "video_codecs=vp8",
  config: [
    ...["module vp8.so", "module fakevideo.so", "video_source fakevideo,nil", "video_display fakevideo,nil"],
    ...["video_size 176x144", "video_bitrate 128000", "video_fps 10", "videnc_format yuv420p"],
  ],
};
const pictures = 50;

/** RFC 3551 §6: VP8 has a payload type of its own in each call, PCMU has always the same. */
function isPicture({ payloadType }: Voice): boolean {
  return payloadType >= 96;
}

const [fromServer, fromPhone] = [
  (one: Captured) => isFrom(one, serverHost),
  (one: Captured) => !isFrom(one, serverHost),
];

/** Every picture's packet that was heard is one that the other has sent, byte for byte; how many they are. */
function passed(from: readonly Captured[], to: readonly Captured[]): number {
  const sent = voicesIn(from.filter(fromPhone)).filter(isPicture);
  // A capture that is ended may not have seen the latest.
  const watched = to.filter(({ at }) => at < sent.at(-1)!.at);
  const got = voicesIn(watched.filter(fromServer)).filter(isPicture);
  const key = ({ ssrc, sequence }: Voice) => `${ssrc}/${sequence}`;
  const all = new Map(sent.map((one) => [key(one), one.data]));
  for (const one of got) assert.deepEqual(one.data, all.get(key(one)), "another's picture, or a changed one");
  assert.equal(new Set(got.map(({ ssrc }) => ssrc)).size, 1);
  assert.equal(new Set(got.map(({ source }) => source)).size, 1, "from one port of ours");
  return got.length;
}

describe("a video call between two phones behind NATs", { skip }, () => {
  let office: Office;
  let alice: Baresip;
  let bob: Baresip;
  before(async () => {
    office = await Office.open(topology, { users: ["alice", "bob"] });
    [alice, bob] = await Promise.all([
      office.phone("alice", { user: "alice", tone: 440, ...video }),
      office.phone("bob", { user: "bob", tone: 1_000, ...video }),
    ]);
  });
  after(() => office?.[Symbol.asyncDispose]());
  const streamsNow = async () => (await office.told<ShownCall>("calls"))[0]?.streams ?? [];

  test("O14, L18: pictures, sound and the reports of both pass, both ways", async () => {
    await using atAlice = await Capture.start(office, "alice");
    await using atBob = await Capture.start(office, "bob");
    await connect(alice, bob);
    await talk(alice, bob);
    const streams = await until("pictures from both", async () => {
      const shown = (await streamsNow()).filter(({ kind }) => kind === "video");
      return shown.length === 2 && shown.every(({ packetsOut }) => packetsOut > pictures) && shown;
    });
    const reported = async () => {
      const all = await streamsNow();
      return all.length === 4 && all.every(({ control }) => control !== null && control.packetsOut > 0);
    };
    // RFC 3550 §6.2: every five seconds or so; the first may come before it is known whose it is.
    await until("reports of all four streams", reported, { within: 60_000 });
    assert.deepEqual(
      streams.map(({ by, drops }) => [by, drops.stranger]),
      [
        ["learned", undefined],
        ["learned", undefined],
      ],
    );
    await hangUp(bob, alice);
    const [alices, bobs] = [await atAlice.packets(), await atBob.packets()];
    assert.ok(passed(alices, bobs) > pictures && passed(bobs, alices) > pictures);
    await assertHeardOnly(alice, bob);
    await assertHeardOnly(bob, alice);
  });
});
