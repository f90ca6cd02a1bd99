/** How callers name a peer: as an address, which costs nothing for each packet, or as text. */
import { type Address, parseIp } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";

/** `192.0.2.1:7000`, `[2001:db8::1]:7000`; where only the IP address counts, also without the port. */
export type Peer = Readonly<Address> | string;

/** Throws `PosternError` `bad-peer`. */
export function parsePeer(text: string): Address {
  const bare = parseIp(text);
  if (bare !== undefined) return bare;
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const address = parseIp(match?.[1] ?? match?.[2] ?? "");
  const isBracketed = match?.[1] !== undefined;
  if (address === undefined || !(port <= 65_535) || isBracketed !== (address.family === 6)) {
    throw new PosternError("bad-peer", `"${text}" is no peer such as 192.0.2.1:7000 or [2001:db8::1]:7000.`);
  }
  return { ...address, port };
}

/** A transport address. Throws `PosternError` `bad-peer`. */
export function peerAddress(peer: Peer): Readonly<Address> {
  const address = peerIp(peer);
  if (address.port !== 0) return address;
  throw new PosternError("bad-peer", "A peer to send to has a port: 192.0.2.1:7000.");
}

/** An IP address, with or without a port. Throws `PosternError` `bad-peer`. */
export function peerIp(peer: Peer): Readonly<Address> {
  return typeof peer === "string" ? parsePeer(peer) : peer;
}
