/** ICMP messages about what was relayed to a peer, and the attribute that tells a client of one (RFC 8656 §18.13). */

/** What an ICMP message says, or an ICMPv6 message where the peer's address is IPv6. */
export interface IcmpError {
  /** Below 128: those from there on tell of no error (RFC 4443 §2.1), and IPv4 has no error there. */
  readonly type: number;
  readonly code: number;
  /** Of the next link, in bytes, where a datagram was too long for it; else 0. */
  readonly mtu: number;
}

const valueLength = 8;

/** Whether the message is of a datagram that was too long, and tells how long one may be. */
function isTooLong(family: 4 | 6, type: number, code: number): boolean {
  return family === 4 ? type === 3 && code === 4 : type === 2;
}

/** 16 bits of zero, seven of the type, nine of the code; the MTU, or zero where there is none. */
export function encodeIcmp(family: 4 | 6, { type, code, mtu }: IcmpError): Uint8Array {
  const value = new Uint8Array(valueLength);
  const view = new DataView(value.buffer);
  view.setUint16(2, (type << 9) | code);
  if (isTooLong(family, type, code)) view.setUint32(4, mtu);
  return value;
}

export function decodeIcmp(family: 4 | 6, value: Uint8Array): IcmpError | undefined {
  if (value.length !== valueLength) return undefined;
  const view = new DataView(value.buffer, value.byteOffset);
  const [both, mtu] = [view.getUint16(2), view.getUint32(4)];
  const { type, code } = isInBytes(family, both, mtu)
    ? { type: both >> 8, code: both & 0xff }
    : { type: both >> 9, code: both & 0x1ff };
  return { type, code, mtu: isTooLong(family, type, code) ? mtu : 0 };
}

/**
 * Whether whoever wrote it has taken eight bits for each, as some do. That shows: no code takes nine bits, so the lowest bit of
 * the type would be the code's highest. Of the types that are told (§11.5) one is even, that of ICMPv6 for what was too long,
 * and that has an MTU.
 */
function isInBytes(family: 4 | 6, both: number, mtu: number): boolean {
  // RFC 8656 §18.13: type 1, which it would be by the drawing, has zero there.
  return (both & 0x100) !== 0 || (family === 6 && both >> 9 === 1 && mtu !== 0);
}
