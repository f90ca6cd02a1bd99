/** Where media is wanted: c= (RFC 8866 §5.7) and a=rtcp (RFC 3605). */
import { type Address, type Family, formatIp, parseIp } from "../base/address.ts";
import type { SdpDocument } from "./document.ts";
import type { SdpSection } from "./section.ts";

export interface Connection {
  /** As it stands there: an address, or the name of a host. */
  readonly host: string;
  readonly family: Family;
  /** Its port is 0; undefined where `host` is a name. */
  readonly address: Readonly<Address> | undefined;
}

/** Parses `IN IP4 192.0.2.1`; undefined for anything else. A multicast address may have a scope behind a slash. */
export function parseConnection(value: string): Connection | undefined {
  const [network, type, host, ...rest] = words(value);
  if (network?.toUpperCase() !== "IN" || host === undefined || rest.length > 0) return undefined;
  const bare = host.replace(/\/.*$/, "");
  const address = parseIp(bare);
  // A phone that writes IP4 in front of an IPv6 address means the address.
  const family = address?.family ?? familyOf(type as string);
  return family === undefined || bare === "" ? undefined : { host: bare, family, address };
}

export function words(value: string): string[] {
  return value.split(" ").filter((word) => word !== "");
}

function familyOf(type: string): Family | undefined {
  const upper = type.toUpperCase();
  return upper === "IP4" ? 4 : upper === "IP6" ? 6 : undefined;
}

/** RFC 4007 §6: a zone means something on its own host alone. */
export function formatConnection(address: Readonly<Address>): string {
  return `IN IP${address.family} ${formatIp(address).replace(/%.*/, "")}`;
}

/** `0.0.0.0` or `::`: nobody is there. RFC 2543 §B.5 holds a call so. */
export function isUnspecified(address: Readonly<Address>): boolean {
  return (address.w0 | address.w1 | address.w2 | address.w3) === 0;
}

/** RFC 8866 §5.7: the media description's own, or else the session's. */
export function connectionOf(document: SdpDocument, media: SdpSection): Connection | undefined {
  const value = media.value("c") ?? document.session.value("c");
  return value === undefined ? undefined : parseConnection(value);
}

/** Where RTCP is wanted. `connection` is undefined where only the port is told. */
export interface RtcpPlace {
  readonly port: number;
  readonly connection: Connection | undefined;
}

/** RFC 3605 §2.1: parses `53020` or `53020 IN IP4 192.0.2.1`. */
export function parseRtcp(value: string): RtcpPlace | undefined {
  const [first = "", ...rest] = words(value);
  const port = parsePort(first);
  if (port === undefined) return undefined;
  if (rest.length === 0) return { port, connection: undefined };
  const connection = parseConnection(rest.join(" "));
  return connection === undefined ? undefined : { port, connection };
}

/** 0 to 65535, in decimal. */
export function parsePort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}
