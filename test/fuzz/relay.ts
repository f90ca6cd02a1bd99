/**
 * The media relay, fed with packets from anybody at any time and with descriptions of any kind: nothing throws, nobody but
 * the parties is heard or spoken to, and every description that is forwarded names our own addresses alone.
 */
import assert from "node:assert/strict";
import { type Address, sameAddress, sameIp } from "../../src/core/base/address.ts";
import type { StreamDescription } from "../../src/core/call/description.ts";
import { describeSdp } from "../../src/core/call/sdp.ts";
import { isCarried } from "../../src/core/relay/carried.ts";
import { parseSdp } from "../../src/core/sdp/document.ts";
import { ALICE, BOB, check, iceLines, response } from "../core/relay/checks.ts";
import { at, type Call, NATED, PUBLIC, RELAY_4, RelayWorld, setUp, voiceSdp } from "../core/relay/world.ts";
import { rtcp, rtp } from "../core/rtp/packets.ts";
import type { SeededRandom } from "../support/crypto.ts";
import { sdpSeeds } from "./sdp.ts";
import type { Target } from "./target.ts";

const PARTIES: readonly Address[] = ["198.51.100.7:1", "198.51.100.80:1"].map(at);
const STRANGER: Address = at("192.0.2.13:4000");
const text = new TextEncoder();

const seeds: readonly Uint8Array[] = [
  ...sdpSeeds,
  ...[NATED, PUBLIC].map(({ says }) => text.encode(voiceSdp(says, ["a=rtcp-mux", "a=ice-ufrag:abcd"]))),
  text.encode(voiceSdp(NATED.says, ["a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuv"])),
  text.encode(voiceSdp("0.0.0.0:9", ["m=image 7000 udptl t38", "m=message 9 TCP/MSRP *"])),
  rtp({ payload: 10, sequence: 7, ssrc: 1001 }),
  rtp({ payload: 10, sequence: 8, ssrc: 2002, payloadType: 101 }),
  rtcp(1001),
  check(ALICE, BOB, { nominates: true }),
  check(BOB, ALICE),
  response(check(BOB, ALICE), ALICE),
];

function isPartys(address: Readonly<Address>): boolean {
  return PARTIES.some((one) => sameIp(one, address));
}

/** The packet at both sides, from the parties and from a stranger; how often it was carried. */
function deliver(call: Call, data: Uint8Array, random: SeededRandom): number {
  const { world } = call.caller;
  let carried = 0;
  for (const { from, target } of [call.caller, call.callee]) {
    for (let n = 0; n < 4; n++) {
      const next = data.slice();
      if (next.length > 3) next[3] = n;
      assert.equal(world.arrive(next, STRANGER, target), undefined, "a stranger is never heard");
    }
    for (const source of [from, { ...from, port: 1 + random.below(65_535) }]) {
      const route = world.arrive(data, source, target);
      if (route === undefined) continue;
      assert.ok(isPartys(route.remote), "nobody but the parties is spoken to");
      carried++;
    }
    world.pass(random.pick([0, 1, 20, 2_000]));
  }
  return carried;
}

/** The input as an offer, answered by itself. */
function renegotiate({ caller, callee }: Call, input: Uint8Array, random: SeededRandom): boolean {
  const { world } = caller;
  const document = parseSdp(Buffer.from(input).toString("latin1"));
  if (typeof document === "string") return false;
  const [one, other] = random.oneIn(2) ? [caller.leg, callee.leg] : [callee.leg, caller.leg];
  const answer = random.oneIn(2) ? document.format() : voiceSdp(PUBLIC.says);
  for (const result of [
    world.describe("offer", one, other, document.format()),
    world.describe("answer", other, one, answer),
  ]) {
    const forwarded = result();
    assert.ok(forwarded !== undefined, "sockets open at once: so does the answer come");
    if (typeof forwarded === "string") continue;
    for (const stream of describeSdp(forwarded).streams) {
      if (isCarried(stream) && !stream.isUnplaced) assert.equal(stream.media?.host, RELAY_4);
      if (isCarried(stream) && stream.ice !== undefined) assert.ok(hasDefault(stream), forwarded.format());
    }
  }
  return true;
}

/** Whether the default is one of its candidates. */
function hasDefault({ ice, media }: StreamDescription): boolean {
  const place = media?.address;
  return place !== undefined && ice?.candidates.some(({ address }) => sameAddress(address, place)) === true;
}

export const relayTarget: Target = {
  name: "relay",
  oneIn: 10,
  seeds,
  run(input: Uint8Array, random: SeededRandom): boolean {
    const world = new RelayWorld({ offloads: random.oneIn(2) });
    // With ICE at neither end, at one, or at both.
    const [one, other] = [ALICE, BOB].map((own) => (random.oneIn(2) ? iceLines(own) : []));
    const call = setUp(world, { ...NATED, more: one ?? [] }, { ...PUBLIC, more: other ?? [] });
    if (random.oneIn(2)) {
      call.caller.talk(3);
      call.callee.talk(3);
    }
    let isAccepted = deliver(call, input, random) > 0;
    if (renegotiate(call, input, random)) isAccepted = true;
    if (!isNamingOthers(world)) deliver(call, input, random);
    assert.ok(world.open.size <= 64 && world.relay.stats.ports === world.open.size);
    world.relay.closeSession(call.session);
    world.drain();
    assert.deepEqual([world.open.size, world.relay.pollTimeout()], [0, undefined]);
    return isAccepted;
  },
  decode: (input) => void steady.relay.handlePacket(input, input.length, PARTIES[0] as Address, 0, steady.now),
};

/** Whether what was agreed on makes others parties of the call, who may be heard and spoken to. */
function isNamingOthers(world: RelayWorld): boolean {
  const remotes = world.relay.reports().flatMap(({ legs }) => legs.flatMap(({ streams }) => streams));
  return remotes.some(({ media, control }) =>
    [media.remote, control?.remote].some((remote) => remote !== undefined && !isPartys(remote)),
  );
}

const steady = new RelayWorld();
setUp(steady);
