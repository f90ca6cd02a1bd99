/** A call's description as SDP says it (RFC 8866, RFC 3264, RFC 4568, RFC 5763, RFC 8839). */
import { copyAddress, parseIp } from "../base/address.ts";
import { staticPayload } from "../rtp/payload-types.ts";
import {
  directionOf,
  formatParametersOf,
  inherited,
  parseCrypto,
  parseFingerprint,
  parsePayloadType,
  parseRtpmap,
} from "../sdp/attributes.ts";
import { parseCandidate } from "../sdp/candidate.ts";
import { type Connection, connectionOf, isUnspecified, parseRtcp, words } from "../sdp/connection.ts";
import type { SdpDocument } from "../sdp/document.ts";
import { type MediaLine, mediaLineOf } from "../sdp/media-line.ts";
import type { SdpSection } from "../sdp/section.ts";
import type {
  CallDescription,
  Candidate,
  Carrier,
  Certificate,
  Codec,
  IceDescription,
  Place,
  SharedKey,
  StreamDescription,
} from "./description.ts";

/** An m= line that cannot be read stands for a stream that is refused: what follows it keeps its place. */
const UNREADABLE: MediaLine = { kind: "", port: 0, portCount: 1, protocol: "", formats: [] };

export function describeSdp(document: SdpDocument): CallDescription {
  return { streams: document.media.map((section) => describeStream(document, section)) };
}

function describeStream(document: SdpDocument, section: SdpSection): StreamDescription {
  const line = mediaLineOf(section) ?? UNREADABLE;
  const connection = connectionOf(document, section);
  const isUnplaced = connection?.address !== undefined && isUnspecified(connection.address);
  const media = connection === undefined || isUnplaced ? undefined : placeAt(connection, line.port);
  const carrier = carrierOf(line.protocol);
  const isMultiplexed = carrier === "rtp" && (section.has("rtcp-mux") || section.has("rtcp-mux-only"));
  return {
    kind: line.kind,
    carrier,
    profile: line.protocol,
    name: section.attribute("mid"),
    // RFC 8843 §6: a stream of a bundle may have port 0 and yet be meant.
    isRefused: line.port === 0 && !section.has("bundle-only"),
    direction: directionOf(document, section),
    isUnplaced,
    media,
    control: carrier === "rtp" ? controlOf(section, connection, line.port, isUnplaced) : undefined,
    isMultiplexed,
    codecs: carrier === "rtp" ? codecsOf(section, line) : [],
    formats: line.formats,
    packetTime: numberIn(section.attribute("ptime")),
    sharedKeys: sharedKeysOf(section),
    certificate: certificateOf(document, section),
    ice: iceOf(document, section),
  };
}

function placeAt({ host, address }: Connection, port: number): Place {
  return { host, port, address: address === undefined ? undefined : { ...copyAddress(address), port } };
}

/** RFC 3605 §2.1: a=rtcp says where; else it is the next port of the same address (RFC 3550 §11). */
function controlOf(
  section: SdpSection,
  connection: Connection | undefined,
  port: number,
  isUnplaced: boolean,
): Place | undefined {
  const said = parseRtcp(section.attribute("rtcp") ?? "");
  const where = said?.connection ?? connection;
  if (where === undefined || isUnplaced || port === 0) return undefined;
  if (where.address !== undefined && isUnspecified(where.address)) return undefined;
  const at = said?.port ?? port + 1;
  return at < 1 || at > 65_535 ? undefined : placeAt(where, at);
}

function carrierOf(protocol: string): Carrier {
  const parts = protocol.toUpperCase().split("/");
  if (parts[0] === "TCP") return "stream";
  if (parts.includes("RTP")) return "rtp";
  return parts[0] === "UDPTL" ? "udptl" : "datagrams";
}

function codecsOf(section: SdpSection, line: MediaLine): Codec[] {
  const maps = section.attributes("rtpmap").map(parseRtpmap);
  return line.formats.flatMap((format): Codec[] => {
    const payloadType = parsePayloadType(format);
    if (payloadType === undefined) return [];
    const said = maps.find((map) => map?.payloadType === payloadType) ?? staticPayload(payloadType);
    if (said === undefined) return [];
    const { name, clockRate, channels } = said;
    return [{ payloadType, name, clockRate, channels, parameters: formatParametersOf(section, format) }];
  });
}

function numberIn(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,5}(\.\d{1,3})?$/.test(text) ? Number(text) : undefined;
}

function sharedKeysOf(section: SdpSection): SharedKey[] {
  return section.attributes("crypto").flatMap((value): SharedKey[] => {
    const crypto = parseCrypto(value);
    if (crypto === undefined) return [];
    const { tag, suite, keys, parameters } = crypto;
    return [{ tag, suite, key: keys, parameters }];
  });
}

const SETUPS = ["active", "passive", "actpass", "holdconn"] as const;

function certificateOf(document: SdpDocument, section: SdpSection): Certificate | undefined {
  const line = parseFingerprint(inherited(document, section, "fingerprint") ?? "");
  if (line === undefined) return undefined;
  const setup = inherited(document, section, "setup");
  return { hash: line.hash, fingerprint: line.value, setup: SETUPS.find((one) => one === setup) };
}

function iceOf(document: SdpDocument, section: SdpSection): IceDescription | undefined {
  const ufrag = inherited(document, section, "ice-ufrag");
  const password = inherited(document, section, "ice-pwd");
  if (ufrag === undefined || password === undefined) return undefined;
  return {
    ufrag,
    password,
    isLite: document.session.has("ice-lite"),
    options: words(inherited(document, section, "ice-options") ?? ""),
    candidates: section.attributes("candidate").flatMap((value): Candidate[] => {
      const line = parseCandidate(`candidate:${value}`);
      return line.kind === "candidate" ? [line.candidate] : [];
    }),
    isEnd: section.has("end-of-candidates"),
  };
}

/** A place from an address literal or a name. */
export function placeOf(host: string, port: number): Place {
  return { host, port, address: parseIp(host, port) };
}
