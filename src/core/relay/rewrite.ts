/**
 * A description as the other party gets it: our address and ports in the place of the sender's (c=, m=, a=rtcp), in the
 * receiver's address family, and among its candidates where ICE passes. Bundles end here. Everything else stays byte for
 * byte.
 */
import { type Address, blankAddress } from "../base/address.ts";
import type { CallDescription, StreamDescription } from "../call/description.ts";
import { held } from "../call/direction.ts";
import { setDirection } from "../sdp/attributes.ts";
import { formatConnection, isUnspecified, parseConnection, parseRtcp, words } from "../sdp/connection.ts";
import type { SdpDocument } from "../sdp/document.ts";
import { removeIce } from "../sdp/ice-attributes.ts";
import { mediaLineOf, setMediaPort } from "../sdp/media-line.ts";
import type { SdpSection } from "../sdp/section.ts";
import { isCarried } from "./carried.ts";
import type { IceTreatment } from "./ice.ts";
import { addLite, addRelayed } from "./ice-lines.ts";
import type { Leg, LegStream } from "./leg.ts";

/** `receiver`: who gets it; its streams have their sockets. */
export function rewritten(
  document: SdpDocument,
  { streams }: CallDescription,
  receiver: Leg,
  ours: Readonly<Address>,
  ice: readonly IceTreatment[],
): SdpDocument {
  const copy = document.copy();
  for (const [index, section] of copy.media.entries()) if (ice[index] !== "passes") removeIce(section);
  if (!ice.includes("passes")) removeIce(copy.session);
  // RFC 8843 §7.3: every stream has its own sockets here, so none shares another's.
  copy.session.removeAttributes((name, value) => name === "group" && value.startsWith("BUNDLE"));
  readdress(copy.session, ours);
  copy.session.replace("o", (value) => inFamily(value, ours));
  for (const [index, section] of copy.media.entries()) {
    section.removeAttributes((name) => name === "bundle-only");
    readdress(section, ours);
    const stream = receiver.streams[index];
    const said = streams[index];
    if (stream?.media.port === undefined || said === undefined || !isCarried(said)) setMediaPort(section, 0);
    else {
      place(copy, section, stream, stream.media.port.advertised);
      if (ice[index] !== undefined) placeIce(section, said, stream.media.port.advertised);
      if (ice[index] === "passes") addRelayed(section, stream);
      else if (ice[index] === "ends" && stream.lite !== undefined) addLite(copy, section, stream, stream.lite);
    }
  }
  return copy;
}

/**
 * RFC 8839 §4.2.1: with ICE the default is one of the candidates, and 0.0.0.0 is no hold. Who holds so without ICE is
 * understood by who has it when the direction says it.
 */
function placeIce(
  section: SdpSection,
  { isUnplaced, direction, ice }: StreamDescription,
  ours: Readonly<Address>,
): void {
  if (!isUnplaced) return;
  section.set("c", formatConnection(ours));
  if (ice === undefined) setDirection(section, held(direction));
}

/** RFC 3264 §8.4: who wants nothing anywhere, at 0.0.0.0, holds: that is not ours to change. */
function readdress(section: SdpSection, ours: Readonly<Address>): void {
  section.replace("c", (value) => {
    const said = parseConnection(value)?.address;
    return said !== undefined && isUnspecified(said)
      ? formatConnection({ ...blankAddress(), family: ours.family })
      : formatConnection(ours);
  });
}

/**
 * RFC 8866 §5.2: o= names where the session was made. Some phones take its family for that of the media and refuse another
 * (baresip 1.0 with 488), so it is one that the receiver has.
 */
function inFamily(origin: string, ours: Readonly<Address>): string {
  const [user, id, version, ...where] = words(origin);
  const said = parseConnection(where.join(" "));
  return said === undefined || said.family === ours.family
    ? origin
    : `${user} ${id} ${version} ${formatConnection(ours)}`;
}

function place(document: SdpDocument, section: SdpSection, stream: LegStream, at: Readonly<Address>): void {
  const isMultiplexed = parseRtcp(section.attribute("rtcp") ?? "")?.port === mediaLineOf(section)?.port;
  setMediaPort(section, at.port);
  // RFC 8866 §5.7: there is a c= for every stream, its own or the session's.
  if (section.value("c") === undefined && document.session.value("c") === undefined) {
    section.set("c", formatConnection(at));
  }
  const control = isMultiplexed ? at : (stream.control.port?.advertised ?? at);
  // RFC 3605 §2.1: where RTCP is not on the next port, it is said where.
  const isNext = control.port === at.port + 1;
  if (section.has("rtcp") || (stream.control.port !== undefined && !isNext)) {
    section.setAttribute("rtcp", `${control.port} ${formatConnection(control)}`);
  }
}
