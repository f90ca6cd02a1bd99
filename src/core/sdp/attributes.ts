/** Attributes of media descriptions, read when somebody asks: RFC 8866 §6, RFC 4568, RFC 8122, RFC 4145. */
import { words } from "./connection.ts";
import type { SdpDocument } from "./document.ts";
import type { SdpSection } from "./section.ts";

export const DIRECTIONS = ["sendrecv", "sendonly", "recvonly", "inactive"] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** RFC 8866 §6.7: the media description's own, or else the session's, or else both ways. */
export function directionOf(document: SdpDocument, media: SdpSection): Direction {
  const own = (section: SdpSection) => DIRECTIONS.find((direction) => section.has(direction));
  return own(media) ?? own(document.session) ?? "sendrecv";
}

export function setDirection(media: SdpSection, direction: Direction): void {
  media.removeAttributes((name) => (DIRECTIONS as readonly string[]).includes(name));
  media.addAttribute(direction);
}

export interface Rtpmap {
  /** 0 to 127. */
  readonly payloadType: number;
  /** As it is written there: names are compared without regard to case. */
  readonly name: string;
  readonly clockRate: number;
  /** 1 where nothing is said. */
  readonly channels: number;
}

/** RFC 8866 §6.6: parses `97 L16/8000/2`. */
export function parseRtpmap(value: string): Rtpmap | undefined {
  const [type, encoding, ...rest] = words(value);
  const [name = "", rate = "", channels = "1"] = (encoding ?? "").split("/");
  const payloadType = parsePayloadType(type ?? "");
  const isGood = name !== "" && /^\d{1,7}$/.test(rate) && /^\d{1,3}$/.test(channels) && rest.length === 0;
  if (payloadType === undefined || !isGood || Number(rate) === 0) return undefined;
  return { payloadType, name, clockRate: Number(rate), channels: Number(channels) || 1 };
}

export function formatRtpmap({ payloadType, name, clockRate, channels }: Rtpmap): string {
  return `${payloadType} ${name}/${clockRate}${channels === 1 ? "" : `/${channels}`}`;
}

/** RFC 3550 §5.1: seven bits. */
export function parsePayloadType(text: string): number | undefined {
  return /^\d{1,3}$/.test(text) && Number(text) <= 127 ? Number(text) : undefined;
}

/** What a=fmtp says of one format; "" where it says nothing (RFC 8866 §6.15). */
export function formatParametersOf(media: SdpSection, format: string): string {
  for (const value of media.attributes("fmtp")) {
    const space = value.indexOf(" ");
    if (space > 0 && value.slice(0, space) === format) return value.slice(space + 1).trim();
  }
  return "";
}

/** RFC 4568 §4: a key for SRTP. */
export interface CryptoLine {
  readonly tag: number;
  readonly suite: string;
  /** `inline:…`, several with `;` between. */
  readonly keys: string;
  readonly parameters: readonly string[];
}

export function parseCrypto(value: string): CryptoLine | undefined {
  const [tag = "", suite, keys, ...parameters] = words(value);
  if (!/^\d{1,9}$/.test(tag) || suite === undefined || keys === undefined) return undefined;
  return { tag: Number(tag), suite, keys, parameters };
}

/** RFC 8122 §5: a certificate's. */
export interface FingerprintLine {
  /** In lower case. */
  readonly hash: string;
  readonly value: string;
}

export function parseFingerprint(text: string): FingerprintLine | undefined {
  const [hash, value, ...rest] = words(text);
  const isGood = value !== undefined && rest.length === 0 && /^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})+$/.test(value);
  return isGood && hash !== undefined ? { hash: hash.toLowerCase(), value } : undefined;
}

/** The attributes that a media description takes from the session where it has none of its own. */
export function inherited(document: SdpDocument, media: SdpSection, name: string): string | undefined {
  return media.attribute(name) ?? document.session.attribute(name);
}
