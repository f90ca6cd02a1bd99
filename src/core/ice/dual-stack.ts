/** The order of addresses of both families (RFC 8421). */
import type { Address } from "../base/address.ts";

/**
 * RFC 8421 §4: IPv6 first, and an IPv4 address after every Hi = (N_4 + N_6) / N_4 of them, so that neither family waits
 * behind all of the other, broken one. Within a family the order stays.
 */
export function interleaveFamilies<T extends { readonly address: Readonly<Address> }>(all: readonly T[]): T[] {
  const [six, four] = [6, 4].map((family) => all.filter(({ address }) => address.family === family)) as [T[], T[]];
  if (four.length === 0) return six;
  const headStart = Math.floor(all.length / four.length);
  const out: T[] = [];
  while (six.length > 0) {
    out.push(...six.splice(0, headStart));
    out.push(...four.splice(0, 1));
  }
  return [...out, ...four];
}
