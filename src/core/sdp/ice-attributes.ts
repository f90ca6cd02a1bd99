/** The names of ICE's attributes (RFC 8839 §5, RFC 8840 §4.4), to be taken out where ICE ends. */
import type { SdpDocument } from "./document.ts";

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

export function removeIce(document: SdpDocument): void {
  for (const section of [document.session, ...document.media]) section.removeAttributes((name) => NAMES.has(name));
}
