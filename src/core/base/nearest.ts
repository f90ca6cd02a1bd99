/** Which of our addresses a message to some place leaves from, when there is a choice. */
import type { Address } from "./address.ts";
import { prefixContains } from "./prefix.ts";
import { FORBIDDEN_BY_DEFAULT } from "./special-purpose.ts";

/** The nearest of the same family; undefined when there is none. */
export function nearest<T>(
  places: Iterable<T>,
  addressOf: (place: T) => Readonly<Address>,
  to: Readonly<Address>,
): T | undefined {
  let best: T | undefined;
  let bestNearness = -1;
  for (const place of places) {
    const address = addressOf(place);
    if (address.family !== to.family) continue;
    const nearness = nearnessOf(address, to);
    if (nearness <= bestNearness) continue;
    best = place;
    bestNearness = nearness;
  }
  return best;
}

/** Whether one private range holds both, so that no NAT between them gives either another address. */
export function areNeighbours(a: Readonly<Address>, b: Readonly<Address>): boolean {
  const range = rangeOf(a);
  return a.family === b.family && range >= 0 && range === rangeOf(b);
}

/** Both on the Internet, or both in one private range, and then by how many leading bits are the same. */
function nearnessOf(local: Readonly<Address>, to: Readonly<Address>): number {
  const isSameRange = rangeOf(local) === rangeOf(to);
  return (isSameRange ? 128 : 0) + commonBits(local, to);
}

function rangeOf(address: Readonly<Address>): number {
  return FORBIDDEN_BY_DEFAULT.findIndex((prefix) => prefixContains(prefix, address));
}

function commonBits(a: Readonly<Address>, b: Readonly<Address>): number {
  let bits = 0;
  for (const word of ["w0", "w1", "w2", "w3"] as const) {
    const same = Math.clz32(a[word] ^ b[word]);
    bits += same;
    if (same < 32) break;
  }
  return bits;
}
