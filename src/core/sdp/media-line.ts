/** The m= line (RFC 8866 §5.14), and what in it can be edited. */
import { parsePort, words } from "./connection.ts";
import type { SdpSection } from "./section.ts";

export interface MediaLine {
  /** `audio`, `video`, `image`, … */
  readonly kind: string;
  /** 0: the stream is refused, or has ended (RFC 3264 §6, §8.2). */
  readonly port: number;
  /** How many, from `port` on; nearly always 1. */
  readonly portCount: number;
  /** `RTP/AVP`, `udptl`, `TCP/MSRP`, … as it stands there. */
  readonly protocol: string;
  readonly formats: readonly string[];
}

export function parseMediaLine(value: string): MediaLine | undefined {
  const [kind, ports = "", protocol, ...formats] = words(value);
  const [first = "", count = "1", ...more] = ports.split("/");
  const port = parsePort(first);
  const portCount = parsePort(count);
  if (kind === undefined || port === undefined || !portCount || more.length > 0 || protocol === undefined) {
    return undefined;
  }
  return { kind, port, portCount, protocol, formats };
}

/** Undefined where the section's m= line is none, or where it is the session's part. */
export function mediaLineOf(section: SdpSection): MediaLine | undefined {
  const value = section.value("m");
  return value === undefined ? undefined : parseMediaLine(value);
}

/** Everything else of the line stays as it is; a count of ports goes, for there is one. 0 refuses the stream. */
export function setMediaPort(section: SdpSection, port: number): void {
  section.replace("m", (value) => value.replace(/^( *[^ ]+ +)[^ ]+/, `$1${port}`));
}
