/** A call between two real phones as people make it, and what each must have heard of the other. */
import assert from "node:assert/strict";
import type { Network } from "../../../src/lab/network.ts";
import { passagesOf } from "../../../src/lab/passages.ts";
import { until } from "../../support/until.ts";
import { type Baresip, tonesPlayed } from "./baresip.ts";
import { domain } from "./office.ts";
import type { Moment } from "./sound.ts";

/** The share of the power of what is heard: the noise of G.711 is less than a thousandth. */
const pure = 0.99;
const silent = 0.001;
/** Of another tone's power, where a gap has spread the right one over all of them. */
const foreign = 0.1;
/** Tenths of a second. */
const enough = 10;
/** Counting packets takes a program or two each time: of a busy machine that is not asked to be quick. */
const patience = { within: 60_000 } as const;

/** Calls, and resolves when both are connected. */
export async function connect(caller: Baresip, callee: Baresip, uri = `sip:${callee.user}@${domain}`): Promise<void> {
  const [mine, others] = [caller.events.length, callee.events.length];
  await caller.press("dial", uri);
  await callee.tells("CALL_INCOMING", { skip: others });
  await callee.press("accept");
  await caller.tells("CALL_ESTABLISHED", { skip: mine });
  await callee.tells("CALL_ESTABLISHED", { skip: others });
}

/** What it heard in its last call, a tenth of a second each: the shares of these tones. */
async function heard(listener: Baresip, tones: readonly number[]): Promise<Moment[]> {
  return (await listener.heard(tones)).at(-1) ?? [];
}

/** For how long it heard anything in its last call, in tenths of a second. */
export async function heardTenths(listener: Baresip): Promise<number> {
  const moments = await heard(listener, []);
  return moments.filter(({ loudness }) => loudness > silent).length;
}

/** Resolves when it has heard a second of the other in its last call. */
export async function hears(listener: Baresip, speaker: Baresip): Promise<void> {
  const has = async () => {
    const moments = await heard(listener, [speaker.tone]);
    return moments.filter(({ shares }) => shares[0]! > pure).length >= enough;
  };
  await until(`${listener.user} to hear ${speaker.user}`, has, { within: 60_000 }).catch((cause) => {
    throw new Error(`${(cause as Error).message}; it wrote:\n${listener.log}`, { cause });
  });
}

/** Each hears the other. */
export async function talk(one: Baresip, other: Baresip): Promise<void> {
  await Promise.all([hears(one, other), hears(other, one)]);
}

export async function hangUp(who: Baresip, other: Baresip): Promise<void> {
  const skip = other.events.length;
  await who.press("hangup");
  await other.tells("CALL_CLOSED", { skip });
}

/** In its last call it heard the other, and nothing else: not itself, and none of all the other phones. */
export async function assertHeardOnly(listener: Baresip, speaker: Baresip): Promise<void> {
  const others = [...tonesPlayed].filter((tone) => tone !== speaker.tone);
  const moments = await heard(listener, [speaker.tone, ...others]);
  const sounding = moments.filter(({ loudness }) => loudness > silent);
  const told = moments.map(({ shares, loudness }) => `${shares[0]?.toFixed(3)} ${loudness.toFixed(3)}`);
  assert.ok(sounding.length >= enough, `${listener.user} heard too little: ${told.join(", ")}`);
  // Where a packet came late there is a gap, and a click at either end of it.
  const clean = sounding.filter(({ shares }) => shares[0]! > pure);
  assert.ok(clean.length >= 0.8 * sounding.length, `${listener.user} heard something else: ${told.join(", ")}`);
  const found = others.filter((_, i) => sounding.some(({ shares }) => shares[i + 1]! > foreign));
  assert.deepEqual(found, [], `${listener.user} heard these tones beside ${speaker.tone} Hz`);
}

/** Packets of sound that arrived at a phone so far. */
async function received(network: Network, { place }: Baresip): Promise<number> {
  const passages = await passagesOf(network.at(place));
  const isSound = (address: string) => {
    const port = Number(address.slice(address.lastIndexOf(":") + 1));
    return port >= 10_000 && port <= 10_100 && port % 2 === 0;
  };
  const sound = passages.filter(({ direction, protocol, destination }) => {
    return direction === "arrived" && protocol === "udp" && isSound(destination);
  });
  return sound.reduce((sum, { packets }) => sum + packets, 0);
}

/** Resolves when it has got so many more packets of sound. */
export async function moreSound(network: Network, phone: Baresip, count: number): Promise<void> {
  const before = await received(network, phone);
  const hasMore = async () => (await received(network, phone)) >= before + count;
  await until(`${phone.user} to get sound`, hasMore, patience);
}

/**
 * Puts the call on hold, and takes it back: nobody is heard meanwhile, and then both are. baresip 1.0 records nothing
 * after a hold, so packets are counted. `meanwhile` lasts as long as the hold does.
 */
export async function holdAndResume(
  network: Network,
  who: Baresip,
  other: Baresip,
  meanwhile: () => Promise<unknown> = async () => {},
): Promise<void> {
  const counts = () => Promise.all([received(network, who), received(network, other)]);
  await change(who, other, "hold");
  let last = await counts();
  let same = 0;
  const isSilent = async () => {
    const now = await counts();
    same = now.every((count, i) => count === last[i]) ? same + 1 : 0;
    last = now;
    return same >= 5;
  };
  await until("nobody to speak while the call is on hold", isSilent, patience);
  await meanwhile();
  await change(who, other, "resume");
  const isHeard = async () => {
    const now = await counts();
    return now.every((count, i) => count > last[i]! + 50);
  };
  await until("both to be heard again", isHeard, patience);
}

async function change(who: Baresip, other: Baresip, command: "hold" | "resume"): Promise<void> {
  const [mine, others] = [who.events.length, other.events.length];
  await who.press(command);
  await other.tells("CALL_REMOTE_SDP", { skip: others });
  await who.tells("CALL_REMOTE_SDP", { skip: mine });
}
