/**
 * What becomes of ICE in a description on its way. Where both parties speak it, it passes, with the relay as one candidate
 * more; where one does, it ends here; a trunk hears nothing of it.
 */
import { encodeBase64 } from "../base/base64.ts";
import type { Crypto, HmacKey, Random } from "../base/ports.ts";
import { encodeUtf8 } from "../base/utf8.ts";
import type { CallDescription } from "../call/description.ts";
import { isCarried } from "./carried.ts";
import type { Leg } from "./leg.ts";
import type { RelayState } from "./state.ts";

/** `passes`: the other party's, with us among its candidates. `ends`: ours, as a lite agent. */
export type IceTreatment = "passes" | "ends" | undefined;

/** We, as the lite agent that a party's checks end at. */
export interface LiteEnd {
  readonly ufrag: string;
  readonly password: string;
  readonly key: HmacKey;
  /** The party's own ufrag: with another one it begins anew (RFC 8445 §9). Undefined where it was only offered yet. */
  of: string | undefined;
}

/** What the receiver of a description is told of each of its streams. */
export function iceTreatments(
  role: "offer" | "answer",
  from: Leg,
  to: Leg,
  { streams }: CallDescription,
  offersIce: boolean,
): readonly IceTreatment[] {
  // A provider's servers are where they say, and what a phone's network looks like is none of their business.
  const speaks = [from, to].every(mayHaveIce);
  const isSpoken =
    role === "offer" ? () => true : (index: number) => to.offerTo(from)?.streams[index]?.ice !== undefined;
  // RFC 8445 §6.1.1: between two lite agents nobody checks anything.
  const areLite = (index: number) => {
    const there = role === "answer" ? to.offerTo(from)?.streams[index] : to.streams[index]?.description;
    return streams[index]?.ice?.isLite === true && there?.ice?.isLite === true;
  };
  const passes = streams.map((stream, index) => {
    return speaks && stream.ice !== undefined && isCarried(stream) && isSpoken(index) && !areLite(index);
  });
  // RFC 8839 §5.3: a=ice-lite speaks for all streams, so that it cannot stand beside another's ICE.
  if (passes.includes(true)) return passes.map((is) => (is ? "passes" : undefined));
  return streams.map((stream, index) => {
    if (!isCarried(stream) || !mayHaveIce(to)) return undefined;
    const there = role === "answer" ? to.offerTo(from)?.streams[index] : to.streams[index]?.description;
    // Who has not said anything yet may speak it.
    if (there === undefined) return role === "offer" && offersIce ? "ends" : undefined;
    // And we are one, too.
    if (there.ice === undefined || there.ice.isLite) return undefined;
    return role === "answer" || to.streams[index]?.ice === "ends" ? "ends" : undefined;
  });
}

function mayHaveIce({ party }: Leg): boolean {
  return party.service === undefined && party.withoutIce !== true;
}

/** Sees to it that we have a name and a password where the receiver's checks end here. */
export function prepareLite(
  state: RelayState,
  role: "offer" | "answer",
  from: Leg,
  to: Leg,
  treatments: readonly IceTreatment[],
): void {
  for (const [index, treatment] of treatments.entries()) {
    const stream = to.stream(index);
    const theirs = role === "answer" ? to.offerTo(from)?.streams[index]?.ice : stream.description?.ice;
    if (treatment !== "ends") continue;
    const isSame = theirs === undefined || stream.lite?.of === undefined || stream.lite.of === theirs.ufrag;
    if (stream.lite === undefined || !isSame) stream.lite = freshEnd(state.random, state.crypto);
    stream.lite.of ??= theirs?.ufrag;
  }
}

/** RFC 8445 §5.3: at least 24 bits of randomness in the fragment, and 128 in the password. */
function freshEnd(random: Random, crypto: Crypto): LiteEnd {
  const ufrag = encodeBase64(random.bytes(6));
  const password = encodeBase64(random.bytes(18));
  return { ufrag, password, key: keyOf(crypto, password), of: undefined };
}

export function keyOf(crypto: Crypto, password: string): HmacKey {
  return crypto.importKey(encodeUtf8(password));
}
