/**
 * What makes a session description one that cannot be relayed (RFC 8866 §5, §9). A relay that changes only the lines that
 * it understands has to understand each that says where media goes, or two readers would see two descriptions.
 */
import { type Connection, parseConnection, words } from "./connection.ts";
import type { SdpDocument } from "./document.ts";
import { mediaLineOf } from "./media-line.ts";
import type { SdpSection } from "./section.ts";

/**
 * `line`: one that is none; `version`, `origin`: v= or o= is missing, repeated or unreadable; `connection`: c= is missing
 * where a stream is meant, or unreadable; `media`: an m= line is unreadable.
 */
export type SdpFlaw = "line" | "version" | "origin" | "connection" | "media";

// DEVIATES RFC 8866 §5.3, §5.9: s= and t= are not asked for. Some phones leave them out, and they say nothing of media.
export function flawOf(document: SdpDocument): SdpFlaw | undefined {
  const { session, media } = document;
  if ([session, ...media].some(hasBadLine)) return "line";
  const [version, ...versions] = [session, ...media].flatMap((section) => section.values("v"));
  // RFC 8866 §5.1: there is one v= line, and it says 0. A second one is another description.
  if (version?.trim() !== "0" || versions.length > 0) return "version";
  if (!hasOrigin(document)) return "origin";
  const said = connectionsOf(session);
  if (said === undefined) return "connection";
  for (const section of media) {
    const flaw = mediaFlaw(section, said.length > 0);
    if (flaw !== undefined) return flaw;
  }
  return undefined;
}

/** RFC 8866 §9: no line holds NUL or CR; who ends lines there would read others than we do. Empty ones mean nothing. */
function hasBadLine({ lines }: SdpSection): boolean {
  return lines.some(
    ({ type, value }) => value.includes("\0") || value.includes("\r") || (type === "" && !isBlank(value)),
  );
}

function isBlank(text: string): boolean {
  return text.trim() === "";
}

/** RFC 8866 §5.2: user, session, version, and the address whose it is. Some write a name of several words for the user. */
function hasOrigin({ session, media }: SdpDocument): boolean {
  const origins = [session, ...media].flatMap((section) => section.values("o"));
  const parts = words(origins[0] ?? "");
  return origins.length === 1 && parts.length >= 6 && parseConnection(parts.slice(-3).join(" ")) !== undefined;
}

/** Undefined where one cannot be read. */
function connectionsOf(section: SdpSection): readonly Connection[] | undefined {
  const found = section.values("c").map(parseConnection);
  return found.includes(undefined) ? undefined : (found as Connection[]);
}

function mediaFlaw(section: SdpSection, isPlaced: boolean): SdpFlaw | undefined {
  const line = mediaLineOf(section);
  // RFC 8866 §5.14: there is one format at least.
  if (line === undefined || line.formats.length === 0) return "media";
  const own = connectionsOf(section);
  // RFC 8866 §5.7: every media description has a c=, or the session has one. A stream that is refused goes nowhere.
  const isMeant = line.port !== 0 || section.has("bundle-only");
  return own === undefined || (isMeant && own.length === 0 && !isPlaced) ? "connection" : undefined;
}
