/** A firewall that looks into payloads, and drops what it takes for the protocols of a call. */
import { readU32 } from "../../core/base/bytes.ts";
import { encodeUtf8 } from "../../core/base/utf8.ts";
import { MAGIC_COOKIE } from "../../core/stun/registry.ts";
import { indexOfBytes } from "../payload.ts";
import type { Firewall } from "./firewall.ts";

export type Inspected = "stun" | "sip" | "rtp";

const sipVersion = encodeUtf8("SIP/2.0");

const looksLike: Readonly<Record<Inspected, (payload: Uint8Array) => boolean>> = {
  // RFC 8489 §5: the magic cookie is at the same place in every message.
  stun: (payload) => payload.length >= 20 && readU32(payload, 4) === MAGIC_COOKIE,
  sip: (payload) => indexOfBytes(payload, sipVersion, 0) >= 0,
  // RFC 3550 §5.1: version 2 in the first two bits, and a fixed header of twelve bytes.
  rtp: (payload) => payload.length >= 12 && (payload[0] as number) >> 6 === 2,
};

/** Drops, in both directions, what looks like one of these. */
export function inspecting(...protocols: readonly Inspected[]): Firewall {
  return { passes: ({ payload }) => !protocols.some((protocol) => looksLike[protocol](payload)) };
}
