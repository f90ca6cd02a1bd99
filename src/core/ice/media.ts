/** The media lane: which way data goes, and whether what came is the peer's. Nothing is allocated for a packet. */
import { type Address, sameAddress } from "../base/address.ts";
import { readU32 } from "../base/bytes.ts";
import { HEADER_LENGTH, MAGIC_COOKIE } from "../stun/registry.ts";
import type { Base } from "./base.ts";
import type { CandidatePair, Route } from "./pair.ts";
import type { AgentState } from "./state.ts";
import type { Stream } from "./stream.ts";

export function routeOf(stream: Stream, component: number, length: number): Route | undefined {
  const pair = stream.routes[component];
  if (pair === undefined) return undefined;
  pair.packetsSent++;
  pair.bytesSent += length;
  return pair;
}

/**
 * RFC 7983 §7: what begins with 0 to 3 is STUN. An application whose own data begins so is told apart by the magic
 * cookie, which data has once in four milliards.
 */
export function isStun(data: Uint8Array): boolean {
  return data.length >= HEADER_LENGTH && (data[0] as number) < 4 && readU32(data, 4) === MAGIC_COOKIE;
}

/** Whether the peer has proven to be at `from`, by a check or an answer that it sealed. */
export function isValidated(state: AgentState, base: Base, from: Readonly<Address>): boolean {
  const route = base.stream.routes[base.component];
  if (route !== undefined && route.base === base && sameAddress(route.remoteAddress, from)) return true;
  const { current, previous } = base.stream;
  if (isHeardFrom(current?.pairs, base, from) || isHeardFrom(previous?.pairs, base, from)) return true;
  return state.drop("unvalidated");
}

function isHeardFrom(pairs: readonly CandidatePair[] = [], base: Base, from: Readonly<Address>): boolean {
  for (const pair of pairs) {
    if (pair.base === base && pair.isHeard && sameAddress(pair.remoteAddress, from)) return true;
  }
  return false;
}
