/** Address prefixes (CIDR), compared as integers. */
import { type Address, type Family, parseIp } from "./address.ts";

export interface Prefix {
  readonly address: Readonly<Address>;
  /** 0 to 32, or 0 to 128. */
  readonly length: number;
}

/** Parses `198.51.100.0/24`, `2001:db8::/32`, or a single address; undefined when `text` is neither. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf("/");
  const address = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined || address.text !== "") return undefined;
  const width = address.family === 4 ? 32 : 128;
  if (slash < 0) return { address, length: width };
  const digits = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(digits) || Number(digits) > width) return undefined;
  return { address, length: Number(digits) };
}

/** The leading `bits` (0 to 32) of a word. */
function lead(word: number, bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? word : word & (0xffffffff << (32 - bits));
}

function sameLead(a: number, b: number, bits: number): boolean {
  return lead(a, bits) === lead(b, bits);
}

export function prefixContains(prefix: Prefix, a: Readonly<Address>): boolean {
  const p = prefix.address;
  if (p.family !== a.family) return false;
  if (p.family === 4) return sameLead(p.w3, a.w3, prefix.length);
  return (
    sameLead(p.w0, a.w0, prefix.length) &&
    sameLead(p.w1, a.w1, prefix.length - 32) &&
    sameLead(p.w2, a.w2, prefix.length - 64) &&
    sameLead(p.w3, a.w3, prefix.length - 96)
  );
}

export function anyPrefixContains(prefixes: readonly Prefix[], a: Readonly<Address>): boolean {
  for (const prefix of prefixes) if (prefixContains(prefix, a)) return true;
  return false;
}

/** Whether the prefix is of this family. */
export function isFamily(prefix: Prefix, family: Family): boolean {
  return prefix.address.family === family;
}
