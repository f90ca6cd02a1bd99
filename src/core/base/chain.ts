/**
 * A list whose items hold each other. Where there are many short lists it takes a third of what arrays do, of which each is
 * an object and has another for its elements.
 */

/** Each is in one chain at most. */
export interface Linked<T> {
  next: T | undefined;
}

/** The chain that begins with `first`, with `item` behind all others; returns its first. */
export function append<T extends Linked<T>>(first: T | undefined, item: T): T {
  if (first === undefined) return item;
  let last = first;
  while (last.next !== undefined) last = last.next;
  last.next = item;
  return first;
}

/** The chain without `item`, if it is in it; returns its first. */
export function without<T extends Linked<T>>(first: T | undefined, item: T): T | undefined {
  if (first === item) {
    const { next } = item;
    item.next = undefined;
    return next;
  }
  for (let before = first; before !== undefined; before = before.next) {
    if (before.next !== item) continue;
    before.next = item.next;
    item.next = undefined;
    break;
  }
  return first;
}

export function lengthOf<T extends Linked<T>>(first: T | undefined): number {
  let length = 0;
  for (let item = first; item !== undefined; item = item.next) length++;
  return length;
}

/** Its items, first to last: the chain may change while they are walked. */
export function itemsOf<T extends Linked<T>>(first: T | undefined): T[] {
  const items: T[] = [];
  for (let item = first; item !== undefined; item = item.next) items.push(item);
  return items;
}
