/** The attributes of ICE in SDP (RFC 8839 §5), line by line. Where they stand in a description is its reader's to know. */
import { type Address, formatIp, parseIp } from "../base/address.ts";
import { isPassword, isUfrag } from "./credentials.ts";
import { type CandidateLine, parseCandidate } from "./sdp-candidate.ts";

/** RFC 8839 §5.2: what an answer names of the offerer's candidates. */
export interface RemoteCandidateName {
  readonly component: number;
  readonly address: Readonly<Address>;
}

export type IceAttribute =
  | CandidateLine
  | { readonly kind: "ufrag"; readonly ufrag: string }
  | { readonly kind: "password"; readonly password: string }
  | { readonly kind: "options"; readonly options: readonly string[] }
  | { readonly kind: "pacing"; readonly ta: number }
  | { readonly kind: "remote-candidates"; readonly candidates: readonly RemoteCandidateName[] }
  | { readonly kind: "lite" | "mismatch" | "end-of-candidates" }
  | { readonly kind: "malformed"; readonly name: string };

/** Reads `a=name:value` or `name:value`; undefined when it is no attribute of ICE. */
export function parseIceAttribute(line: string): IceAttribute | undefined {
  const text = line.startsWith("a=") ? line.slice(2) : line;
  const colon = text.indexOf(":");
  const [name, value] = colon < 0 ? [text.trim(), ""] : [text.slice(0, colon), text.slice(colon + 1).trim()];
  switch (name) {
    case "candidate":
      return parseCandidate(text);
    case "ice-ufrag":
      return isUfrag(value) ? { kind: "ufrag", ufrag: value } : { kind: "malformed", name };
    case "ice-pwd":
      return isPassword(value) ? { kind: "password", password: value } : { kind: "malformed", name };
    case "ice-options":
      return { kind: "options", options: value.split(" ").filter((word) => word !== "") };
    case "ice-pacing":
      return /^\d{1,10}$/.test(value) ? { kind: "pacing", ta: Number(value) } : { kind: "malformed", name };
    case "remote-candidates":
      return parseRemoteCandidates(value);
    case "ice-lite":
      return { kind: "lite" };
    case "ice-mismatch":
      return { kind: "mismatch" };
    case "end-of-candidates":
      return { kind: "end-of-candidates" };
    default:
      return undefined;
  }
}

/** RFC 8839 §5.2: component, address and port of each. */
function parseRemoteCandidates(value: string): IceAttribute {
  const words = value.split(" ");
  const candidates: RemoteCandidateName[] = [];
  for (let n = 0; n < words.length; n += 3) {
    const [component, port] = [words[n], words[n + 2]].map(Number) as [number, number];
    const address = parseIp(words[n + 1] ?? "", port);
    const isGood = Number.isInteger(component) && component >= 1 && component <= 256;
    if (!isGood || address === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) {
      return { kind: "malformed", name: "remote-candidates" };
    }
    candidates.push({ component, address });
  }
  return { kind: "remote-candidates", candidates };
}

/** `remote-candidates:…`, of the pairs that were selected. */
export function formatRemoteCandidates(candidates: readonly RemoteCandidateName[]): string {
  const words = candidates.map(({ component, address }) => `${component} ${formatIp(address)} ${address.port}`);
  return `remote-candidates:${words.join(" ")}`;
}

/** The ice-option of an agent that takes part in probing hard NATs: letters, digits, + and / (RFC 8839 §5.6). */
export const HARD_NATS_OPTION = "postern+hardnats";

export interface IceLines {
  readonly ufrag: string;
  readonly password: string;
  readonly isLite: boolean;
  /** RFC 8839 §5.6: `ice2` says RFC 8445, `trickle` RFC 8838. */
  readonly options: readonly string[];
}

/** What an agent says of itself, one attribute each, without `a=`. */
export function formatIceLines({ ufrag, password, isLite, options }: IceLines): string[] {
  const lines = [`ice-ufrag:${ufrag}`, `ice-pwd:${password}`];
  if (options.length > 0) lines.push(`ice-options:${options.join(" ")}`);
  // RFC 8839 §5.3: it stands at session level.
  return isLite ? ["ice-lite", ...lines] : lines;
}
