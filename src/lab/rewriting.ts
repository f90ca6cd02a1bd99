/**
 * What the ALG of a router does: in packets that leave it, the inside address becomes its own, and in those that come to
 * it the other way round, wherever these four bytes stand in the payload.
 */
import { fillTransportChecksum, transportOf } from "./transport-checksum.ts";

export interface Rewriting {
  readonly outside: string;
  readonly inside: string;
}

/** Rewrites the Ethernet frame in `bytes` at `start`, if it is to or from one of the routers. */
export function rewritePayload(bytes: Buffer, start: number, rewritings: readonly Rewriting[]): void {
  const transport = transportOf(bytes, start);
  if (transport === undefined) return;
  const { ip, header, protocol, end } = transport;
  const payload = header + (protocol === "udp" ? 8 : ((bytes[header + 12] as number) >> 4) * 4);
  for (const rewriting of rewritings) {
    const [outside, inside] = [bytesOf(rewriting.outside), bytesOf(rewriting.inside)];
    if (bytes.compare(outside, 0, 4, ip + 12, ip + 16) === 0) replace(bytes.subarray(payload, end), inside, outside);
    if (bytes.compare(outside, 0, 4, ip + 16, ip + 20) === 0) replace(bytes.subarray(payload, end), outside, inside);
  }
  fillTransportChecksum(bytes, start);
}

function bytesOf(address: string): Buffer {
  return Buffer.from(address.split(".").map(Number));
}

function replace(payload: Buffer, from: Buffer, to: Buffer): void {
  for (let at = payload.indexOf(from); at >= 0; at = payload.indexOf(from, at + 4)) to.copy(payload, at);
}
