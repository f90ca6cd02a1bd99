import assert from "node:assert/strict";
import { BlockList } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { type Address, formatIp, parseIp } from "../../../src/core/base/address.ts";
import {
  anyPrefixContains,
  isFamily,
  type Prefix,
  parsePrefix,
  prefixContains,
} from "../../../src/core/base/prefix.ts";

function ip(text: string): Address {
  return parseIp(text) as Address;
}

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  assert.ok(parsed, text);
  return parsed;
}

/** Two addresses of one family that often share their first bits. */
function pair(width: 32 | 128) {
  const bit = { min: 0, max: width };
  return fc
    .tuple(fc.bigInt(0n, (1n << BigInt(width)) - 1n), fc.integer(bit), fc.integer(bit))
    .map(([n, length, flip]) => {
      const other = flip === width ? n : n ^ (1n << BigInt(flip));
      return { base: address(n, width), other: address(other, width), length };
    });
}

function address(n: bigint, width: 32 | 128): string {
  const w = (shift: bigint): number => Number(BigInt.asIntN(32, n >> shift));
  return formatIp({ family: width === 32 ? 4 : 6, w0: w(96n), w1: w(64n), w2: w(32n), w3: w(0n), port: 0, text: "" });
}

for (const width of [32, 128] as const) {
  test(`a prefix of 0 to ${width} bits contains what node:net's BlockList says`, () => {
    fc.assert(
      fc.property(pair(width), ({ base, other, length }) => {
        const family = width === 32 ? "ipv4" : "ipv6";
        const list = new BlockList();
        list.addSubnet(base, length, family);
        assert.equal(prefixContains(prefix(`${base}/${length}`), ip(other)), list.check(other, family));
      }),
      { numRuns: 3_000 },
    );
  });
}

test("a prefix never contains an address of the other family", () => {
  assert.ok(!prefixContains(prefix("0.0.0.0/0"), ip("::1")));
  assert.ok(!prefixContains(prefix("::/0"), ip("192.0.2.1")));
  assert.ok(prefixContains(prefix("::/0"), ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
  assert.ok(isFamily(prefix("10.0.0.0/8"), 4) && !isFamily(prefix("10.0.0.0/8"), 6));
});

test("an address alone is a prefix of its whole width", () => {
  assert.equal(prefix("192.0.2.1").length, 32);
  assert.equal(prefix("2001:db8::1").length, 128);
});

test("what is not a prefix is refused", () => {
  for (const text of [
    "",
    "/",
    "/8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/08",
    "10.0.0.0/8/8",
    "10/8",
  ]) {
    assert.equal(parsePrefix(text), undefined, text);
  }
  for (const text of ["::/129", "::/1e1", "::/ 8", "::/8 ", "fe80::%eth0/64", "fe80::1%eth0", "localhost", "::/1000"]) {
    assert.equal(parsePrefix(text), undefined, text);
  }
});

test("one of several prefixes is enough", () => {
  const several = ["10.0.0.0/8", "2001:db8::/32"].map(prefix);
  assert.ok(anyPrefixContains(several, ip("10.255.0.1")));
  assert.ok(anyPrefixContains(several, ip("2001:db8:ffff::1")));
  assert.ok(!anyPrefixContains(several, ip("11.0.0.1")));
  assert.ok(!anyPrefixContains([], ip("10.0.0.1")));
});
