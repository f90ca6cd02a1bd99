/** The names of RFC 3489, which people still use, from what RFC 4787 distinguishes. */
import { type ClassicName, type Filtering, type Finding, known, type Mapping } from "./report.ts";

const CONES = {
  "endpoint-independent": "full-cone",
  "address-dependent": "restricted-cone",
  "address-and-port-dependent": "port-restricted-cone",
} as const;

/**
 * RFC 3489 §5: a cone has one mapping for all destinations, and is named by its filter; whatever maps by destination is
 * symmetric, whatever it filters. RFC 3489 §10.1: without a NAT it is the filter alone.
 */
export function classicName(
  translated: Finding<boolean>,
  mapping: Finding<Mapping>,
  filtering: Finding<Filtering>,
): Finding<ClassicName> {
  if (!translated.known) return translated;
  if (translated.value) {
    if (!mapping.known) return mapping;
    if (mapping.value !== "endpoint-independent") return known("symmetric");
  }
  if (!filtering.known) return filtering;
  if (translated.value) return known(CONES[filtering.value]);
  return known(filtering.value === "endpoint-independent" ? "open" : "symmetric-firewall");
}
