/** A call's description written as SDP, for who has one of its own; on the path descriptions are edited instead. */
import { formatRtpmap } from "../sdp/attributes.ts";
import { formatCandidate } from "../sdp/candidate.ts";
import { formatConnection } from "../sdp/connection.ts";
import type { CallDescription, Certificate, IceDescription, Place, StreamDescription } from "./description.ts";

/** RFC 8866 §5.2: whose description it is. The version grows with every change (RFC 3264 §8). */
export interface SdpOrigin {
  /** Both below 2^62 (RFC 3264 §5). */
  readonly session: number;
  readonly version: number;
  /** Where streams have no place of their own. */
  readonly place: Place;
}

/** RFC 3264 §5, RFC 8866 §9. */
export function formatSdp({ streams }: CallDescription, { session, version, place }: SdpOrigin): string {
  const isLite = streams.some(({ ice }) => ice?.isLite === true);
  const lines = [
    "v=0",
    `o=- ${session} ${version} ${connection(place)}`,
    "s=-",
    `c=${connection(place)}`,
    "t=0 0",
    ...(isLite ? ["a=ice-lite"] : []),
    ...streams.flatMap((stream) => streamLines(stream, place)),
  ];
  return lines.map((line) => `${line}\r\n`).join("");
}

function connection({ host, address }: Place): string {
  return address === undefined ? `IN IP${host.includes(":") ? 6 : 4} ${host}` : formatConnection(address);
}

function streamLines(stream: StreamDescription, fallback: Place): string[] {
  const port = stream.isRefused ? 0 : (stream.media?.port ?? 9);
  // RFC 8866 §5.14: there is at least one format, in a refused stream too.
  const formats = stream.formats.length > 0 ? stream.formats : stream.codecs.map(({ payloadType }) => `${payloadType}`);
  const lines = [`m=${stream.kind} ${port} ${stream.profile} ${formats.join(" ") || "0"}`];
  if (stream.isRefused) return lines;
  const { media } = stream;
  if (stream.isUnplaced) lines.push(`c=IN IP${fallback.address?.family === 6 ? "6 ::" : "4 0.0.0.0"}`);
  else if (media !== undefined && media.host !== fallback.host) lines.push(`c=${connection(media)}`);
  if (stream.name !== undefined) lines.push(`a=mid:${stream.name}`);
  for (const codec of stream.codecs) {
    lines.push(`a=rtpmap:${formatRtpmap(codec)}`);
    if (codec.parameters !== "") lines.push(`a=fmtp:${codec.payloadType} ${codec.parameters}`);
  }
  if (stream.packetTime !== undefined) lines.push(`a=ptime:${stream.packetTime}`);
  lines.push(`a=${stream.direction}`, ...controlLines(stream));
  for (const { tag, suite, key, parameters } of stream.sharedKeys) {
    lines.push(`a=crypto:${[tag, suite, key, ...parameters].join(" ")}`);
  }
  if (stream.certificate !== undefined) lines.push(...certificateLines(stream.certificate));
  if (stream.ice !== undefined) lines.push(...iceLines(stream.ice));
  return lines;
}

/** RFC 3605 §2.1: only where it is not the next port. */
function controlLines({ control, media, isMultiplexed }: StreamDescription): string[] {
  const isNext = control === undefined || (control.host === media?.host && control.port === media.port + 1);
  const lines = isNext ? [] : [`a=rtcp:${control.port} ${connection(control)}`];
  return isMultiplexed ? [...lines, "a=rtcp-mux"] : lines;
}

function certificateLines({ hash, fingerprint, setup }: Certificate): string[] {
  const line = `a=fingerprint:${hash} ${fingerprint}`;
  return setup === undefined ? [line] : [line, `a=setup:${setup}`];
}

function iceLines({ ufrag, password, options, candidates, isEnd }: IceDescription): string[] {
  const lines = [`a=ice-ufrag:${ufrag}`, `a=ice-pwd:${password}`];
  if (options.length > 0) lines.push(`a=ice-options:${options.join(" ")}`);
  lines.push(...candidates.map((candidate) => `a=${formatCandidate(candidate)}`));
  return isEnd ? [...lines, "a=end-of-candidates"] : lines;
}
