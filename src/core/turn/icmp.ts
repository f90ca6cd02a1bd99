/** ICMP messages about what was relayed to a peer, and the attribute that tells a client of one (RFC 8656 §18.13). */

/** What an ICMP message says, or an ICMPv6 message where the peer's address is IPv6. */
export interface IcmpError {
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

/** 16 bits of zero, the type, the code; the MTU, or zero where there is none. */
export function encodeIcmp(family: 4 | 6, { type, code, mtu }: IcmpError): Uint8Array {
  const value = new Uint8Array(valueLength);
  const view = new DataView(value.buffer);
  view.setUint8(2, type);
  view.setUint8(3, code);
  if (isTooLong(family, type, code)) view.setUint32(4, mtu);
  return value;
}

export function decodeIcmp(family: 4 | 6, value: Uint8Array): IcmpError | undefined {
  if (value.length !== valueLength) return undefined;
  const view = new DataView(value.buffer, value.byteOffset);
  const [type, code] = [view.getUint8(2), view.getUint8(3)];
  return { type, code, mtu: isTooLong(family, type, code) ? view.getUint32(4) : 0 };
}
