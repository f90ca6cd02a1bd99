/** The names of ICE's attributes (RFC 8839 §5, RFC 8840 §4.4), to be taken out where ICE ends. */
import type { SdpDocument } from "./document.ts";
import type { SdpSection } from "./section.ts";

const NAMES: ReadonlySet<string> = new Set([
  "candidate",
  "remote-candidates",
  "end-of-candidates",
  "ice-lite",
  "ice-mismatch",
  "ice-ufrag",
  "ice-pwd",
  "ice-options",
  "ice-pacing",
]);

export function hasIce(document: SdpDocument): boolean {
  return [document.session, ...document.media].some((section) => section.has("ice-ufrag"));
}

/** Of one part of a description. */
export function removeIce(section: SdpSection): void {
  section.removeAttributes((name) => NAMES.has(name));
}
