/** Firewalls that look into payloads: one drops what it takes for the protocols of a call, one passes TLS alone. */
import { concatBytes, copyBytes, readU16, readU32 } from "../../core/base/bytes.ts";
import { encodeUtf8 } from "../../core/base/utf8.ts";
import { MAGIC_COOKIE } from "../../core/stun/registry.ts";
import { indexOfBytes } from "../payload.ts";
import type { Firewall } from "./firewall.ts";
import { ofStreams, type Reader, Streams } from "./streams.ts";

export type Inspected = "stun" | "sip" | "rtp";

const sipVersion = encodeUtf8("SIP/2.0");
const cookie = Uint8Array.of(MAGIC_COOKIE >>> 24, MAGIC_COOKIE >>> 16, MAGIC_COOKIE >>> 8, MAGIC_COOKIE);

function isRtp(bytes: Uint8Array, at: number, length: number): boolean {
  // RFC 3550 §5.1: version 2 in the first two bits, and a fixed header of twelve bytes.
  return length >= 12 && at < bytes.length && (bytes[at] as number) >> 6 === 2;
}

const inDatagram: Readonly<Record<Inspected, (payload: Uint8Array) => boolean>> = {
  // RFC 8489 §5: the magic cookie is at the same place in every message.
  stun: (payload) => payload.length >= 20 && readU32(payload, 4) === MAGIC_COOKIE,
  sip: (payload) => indexOfBytes(payload, sipVersion, 0) >= 0,
  rtp: (payload) => isRtp(payload, 0, payload.length),
};

/** Whether the cookie stands anywhere behind what may be a STUN header: no framing hides it. */
function hasStun(bytes: Uint8Array): boolean {
  for (let at = indexOfBytes(bytes, cookie, 4); at >= 0; at = indexOfBytes(bytes, cookie, at + 1)) {
    if ((bytes[at - 4] as number) < 0x40 && readU16(bytes, at - 2) % 4 === 0) return true;
  }
  return false;
}

/** The header and the length of a frame of RFC 4571, or of ChannelData, that begins at `at`. */
function frameAt(bytes: Uint8Array, at: number): readonly [header: number, length: number, padded: number] {
  const isChannel = (bytes[at] as number) >> 4 === 4;
  const length = readU16(bytes, isChannel ? at + 2 : at);
  // RFC 8656 §12.5: over TCP ChannelData is padded to four bytes.
  return isChannel ? [4, length, (length + 3) & ~3] : [2, length, length];
}

/** Whether frames with RTP begin here: a whole one, and behind it nothing, or the beginning of another. */
function hasFramedRtp(bytes: Uint8Array): boolean {
  for (let at = 0; at + 4 < bytes.length; ) {
    const [header, length, padded] = frameAt(bytes, at);
    if (!isRtp(bytes, at + header, length)) return false;
    if (at > 0 || bytes.length === header + padded) return true;
    at += header + padded;
  }
  return false;
}

const inStream: Readonly<Record<Inspected, (bytes: Uint8Array, tail: Uint8Array) => boolean>> = {
  stun: (bytes, tail) => hasStun(concatBytes(tail, bytes)),
  sip: (bytes, tail) => indexOfBytes(concatBytes(tail, bytes), sipVersion, 0) >= 0,
  rtp: (bytes) => hasFramedRtp(bytes),
};

/** As many bytes of the past as may be the beginning of what is looked for. */
const TAIL = 8;

function reader(protocols: readonly Inspected[]): Reader {
  let tail: Uint8Array = new Uint8Array(0);
  return (bytes) => {
    const isFound = protocols.some((protocol) => inStream[protocol](bytes, tail));
    const joined = bytes.length >= TAIL ? bytes : concatBytes(tail, bytes);
    tail = copyBytes(joined, Math.max(0, joined.length - TAIL));
    return !isFound;
  };
}

/**
 * Drops, in both directions, datagrams that look like one of these, and TCP connections from the first segment on in
 * which they are found: STUN and SIP anywhere in the stream, RTP in frames of RFC 4571 or of ChannelData that begin with
 * a segment. `resetting` ends these connections instead.
 */
export function inspecting(...protocols: readonly Inspected[]): Firewall {
  const streams = new Streams(() => reader(protocols));
  const passes = (payload: Uint8Array): boolean => !protocols.some((protocol) => inDatagram[protocol](payload));
  return {
    judge: (packet, direction) => {
      const isPassed = packet.protocol === "udp" ? passes(packet.payload) : streams.pass(packet, direction);
      return isPassed ? "pass" : "drop";
    },
    reset: () => streams.clear(),
  };
}

/** RFC 8446 §5.1: what every stream of TLS begins with: a handshake record, version 3.x. */
function mayBeTls(head: Uint8Array): boolean {
  return (head[0] ?? 0x16) === 0x16 && (head[1] ?? 3) === 3 && (head[2] ?? 0) <= 4;
}

function tlsReader(): Reader {
  let head: Uint8Array = new Uint8Array(0);
  return (bytes) => {
    if (head.length < 3) head = concatBytes(head, bytes.subarray(0, 3 - head.length));
    return mayBeTls(head);
  };
}

/** Of TCP, passes only connections of which both directions begin as TLS does. UDP is not its business. */
export function onlyTls(): Firewall {
  return ofStreams(new Streams(tlsReader));
}
