/**
 * A session description (RFC 8866) as it stands on the path between two phones: parsed into lines, edited field by field,
 * and written again with everything else byte for byte. Text is a binary string, one character a byte.
 *
 * What phones leave out (the last line end, s=, t=) is not asked for; what nobody knows is kept.
 */
import { type SdpLine, SdpSection, sdpLine } from "./section.ts";

/** `not-sdp`: it does not begin with `v=`. The others: more than any call needs. */
export type SdpFailure = "not-sdp" | "too-long" | "too-many-lines" | "too-many-media";

/** A SIP message over UDP is no longer; descriptions have some kilobytes, a browser's with all its candidates twenty. */
export const MAX_SDP_LENGTH = 65_535;
/** A browser's longest have several hundred. */
const MAX_LINES = 4_000;
/** A conference in a browser has some tens. */
const MAX_MEDIA = 128;

export class SdpDocument {
  readonly session: SdpSection;
  readonly media: readonly SdpSection[];

  constructor(session: SdpSection, media: readonly SdpSection[]) {
    this.session = session;
    this.media = media;
  }

  /** To be edited alone. */
  copy(): SdpDocument {
    return new SdpDocument(
      this.session.copy(),
      this.media.map((section) => section.copy()),
    );
  }

  format(): string {
    let text = "";
    for (const line of this.session.lines) text += formatLine(line);
    for (const { lines } of this.media) for (const line of lines) text += formatLine(line);
    return text;
  }
}

function formatLine({ type, value, end }: SdpLine): string {
  return type === "" ? value + end : `${type}=${value}${end}`;
}

export function parseSdp(text: string): SdpDocument | SdpFailure {
  if (text.length > MAX_SDP_LENGTH) return "too-long";
  // RFC 8866 §5.1: v= comes first. Its value is 0, but nothing here depends on it.
  if (!text.startsWith("v=")) return "not-sdp";
  const lines = splitLines(text);
  if (lines.length > MAX_LINES) return "too-many-lines";
  const starts = lines.flatMap(({ type }, at) => (type === "m" ? [at] : []));
  if (starts.length > MAX_MEDIA) return "too-many-media";
  const newline = lines[0]?.end === "\n" ? "\n" : "\r\n";
  const section = (from: number, to: number | undefined) => new SdpSection(lines.slice(from, to), newline);
  const media = starts.map((start, index) => section(start, starts[index + 1]));
  return new SdpDocument(section(0, starts[0]), media);
}

function splitLines(text: string): SdpLine[] {
  const lines: SdpLine[] = [];
  for (let at = 0; at < text.length && lines.length <= MAX_LINES; ) {
    const feed = text.indexOf("\n", at);
    const next = feed < 0 ? text.length : feed + 1;
    // RFC 8866 §5: lines end with CR LF, and parsers take LF alone too.
    const end = feed < 0 ? "" : text.charAt(feed - 1) === "\r" ? "\r\n" : "\n";
    lines.push(parseLine(text.slice(at, next - end.length), end));
    at = next;
  }
  return lines;
}

const TYPE = /^[a-z]=/;

function parseLine(text: string, end: string): SdpLine {
  return TYPE.test(text) ? sdpLine(text.charAt(0), text.slice(2), end) : sdpLine("", text, end);
}
