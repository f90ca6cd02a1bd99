/** Our lines of ICE in a description (RFC 8839 §5). Its default, in c= and m=, is ours too, and among its candidates. */
import { type Address, parseIp } from "../base/address.ts";
import { type Candidate, formatCandidate } from "../sdp/candidate.ts";
import type { SdpDocument } from "../sdp/document.ts";
import type { SdpSection } from "../sdp/section.ts";
import type { LiteEnd } from "./ice.ts";
import type { LegStream } from "./leg.ts";

/** Another than agents give, and the same for both components. */
const FOUNDATION = "postern";
/** RFC 8445 §5.1.2: of a host's candidate with one address, and the least that there is. */
const HOST_PRIORITY = 126 * 2 ** 24 + 65_535 * 2 ** 8;
const LEAST_PRIORITY = 0;
/** RFC 8839 §5.1: whence a relayed candidate was obtained is for diagnosis, and may be hidden so. */
const HIDDEN = parseIp("0.0.0.0", 9) as Address;

/** RFC 8445 §6.1.1: the party that gets this checks, and we answer. */
export function addLite(
  document: SdpDocument,
  section: SdpSection,
  stream: LegStream,
  { ufrag, password }: LiteEnd,
): void {
  if (!document.session.has("ice-lite")) document.session.addAttribute("ice-lite");
  section.addAttribute("ice-ufrag", ufrag);
  section.addAttribute("ice-pwd", password);
  addCandidates(section, stream, "host", HOST_PRIORITY);
}

/** The way through us stands behind all others: it is taken where no other works. */
export function addRelayed(section: SdpSection, stream: LegStream): void {
  // What they name is the default of before, and defaults are ours.
  section.removeAttributes((name) => name === "remote-candidates");
  addCandidates(section, stream, "relay", LEAST_PRIORITY);
}

function addCandidates(
  section: SdpSection,
  { media, control }: LegStream,
  type: "host" | "relay",
  above: number,
): void {
  for (const [index, { port }] of [media, control].entries()) {
    if (port === undefined) continue;
    const component = index + 1;
    const candidate: Candidate = {
      ...{ foundation: FOUNDATION, component, priority: above + 256 - component, type },
      ...{ address: port.advertised, related: type === "host" ? undefined : HIDDEN },
    };
    section.addAttribute("candidate", formatCandidate(candidate).slice("candidate:".length));
  }
}
