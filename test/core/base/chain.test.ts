import assert from "node:assert/strict";
import { test } from "node:test";
import { append, itemsOf, type Linked, without } from "../../../src/core/base/chain.ts";

interface Item extends Linked<Item> {
  readonly name: string;
}

function chained(names: string): { first: Item | undefined; items: Item[] } {
  const items = [...names].map((name): Item => ({ name, next: undefined }));
  return { first: items.reduce<Item | undefined>(append, undefined), items };
}

function names(first: Item | undefined): string {
  return itemsOf(first)
    .map(({ name }) => name)
    .join("");
}

test("items stay in the order in which they came, whichever is taken out", () => {
  assert.equal(names(undefined), "");
  for (const gone of "abcd") {
    const { first, items } = chained("abcd");
    const item = items.find(({ name }) => name === gone) as Item;
    const rest = without(first, item);
    assert.equal(names(rest), "abcd".replace(gone, ""));
    assert.equal(item.next, undefined, "what was taken out holds nothing");
    assert.equal(names(append(rest, item)), `${"abcd".replace(gone, "")}${gone}`);
  }
});

test("the only one, and one that is not there", () => {
  const { first, items } = chained("a");
  assert.equal(without(first, items[0] as Item), undefined);
  const other = chained("xyz");
  assert.equal(names(without(other.first, items[0] as Item)), "xyz");
  assert.equal(without(undefined, items[0] as Item), undefined);
});

test("items may be taken out of a chain while they are walked", () => {
  const { first } = chained("abc");
  let rest = first;
  for (const item of itemsOf(first)) rest = without(rest, item);
  assert.equal(rest, undefined);
});
