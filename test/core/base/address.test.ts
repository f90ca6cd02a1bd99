import assert from "node:assert/strict";
import { isIPv4, isIPv6, SocketAddress } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Address,
  assignAddress,
  blankAddress,
  copyAddress,
  formatAddress,
  formatIp,
  hashAddress,
  hashIp,
  ipv4,
  parseIp,
  parseIpInto,
  sameAddress,
  sameIp,
} from "../../../src/core/base/address.ts";

const word = fc.integer({ min: -0x80000000, max: 0x7fffffff });
const port = fc.integer({ min: 0, max: 0xffff });
const sparse = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }), word);
const anyIpv4 = fc.tuple(word, port).map(([w, p]) => ipv4(w, p));
const anyIpv6 = fc
  .tuple(sparse, sparse, sparse, sparse, port)
  .map(([w0, w1, w2, w3, p]): Address => ({ family: 6, w0, w1, w2, w3, port: p, text: "" }));
const anyAddress = fc.oneof(anyIpv4, anyIpv6);

/** Text that is an address, nearly one, or nothing like one. */
const nearlyIp = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc
    .array(fc.constantFrom("0", "1", "255", "256", "01", ".", ":", "::", "ffff", "fFf", "g", "12345", "%", "%e0", " "))
    .map((parts) => parts.join("")),
  fc.tuple(fc.ipV6(), fc.nat(40), fc.constantFrom("", ":", ".", "0", "%", "f")).map(([text, at, put]) => {
    return text.slice(0, at) + put + text.slice(at + 1);
  }),
);

function words(text: string): number[] {
  const a = parseIp(text);
  assert.ok(a, text);
  return [a.w0, a.w1, a.w2, a.w3].map((word) => word >>> 0);
}

test("an IP literal is what node:net says it is, IPv6 and IPv4, near misses included", () => {
  fc.assert(
    fc.property(nearlyIp, (text) => {
      const family = parseIp(text)?.family;
      assert.equal(family, isIPv4(text) ? 4 : isIPv6(text) ? 6 : undefined, JSON.stringify(text));
    }),
    { numRuns: 5_000 },
  );
});

test("parsing agrees with the system's: what both format is the same", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const ours = parseIp(text);
      assert.ok(ours);
      const system = new SocketAddress({ address: text, family: ours.family === 4 ? "ipv4" : "ipv6" }).address;
      // The system also writes deprecated IPv4-compatible addresses with dots.
      if (/^::\d+\.\d+\.\d+\.\d+$/.test(system)) assert.ok(sameIp(ours, parseIp(system) as Address));
      else assert.equal(formatIp(ours), system);
    }),
    { numRuns: 3_000 },
  );
});

test("format then parse gives the same address", () => {
  fc.assert(
    fc.property(anyAddress, (address) => {
      const again = parseIp(formatIp(address), address.port);
      assert.deepEqual(again, address);
    }),
    { numRuns: 3_000 },
  );
});

test("dotted decimal without leading zeros, signs, spaces, missing or further octets", () => {
  assert.equal(parseIp("192.0.2.1")?.w3, 0xc0000201 | 0);
  assert.equal(parseIp("255.255.255.255")?.w3, -1);
  for (const text of [
    "",
    "1",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.",
    ".1.2.3",
    "1..2.3",
    "01.2.3.4",
    "00.0.0.0",
    "256.0.0.1",
  ]) {
    assert.equal(parseIp(text), undefined, text);
  }
  for (const text of [" 1.2.3.4", "1.2.3.4 ", "+1.2.3.4", "1.2.3.0x4", "1.2.3.4/8", "1.2.3.4%e0", "\u0661.2.3.4"]) {
    assert.equal(parseIp(text), undefined, text);
  }
});

test("RFC 4291 §2.2: every form of an IPv6 literal", () => {
  assert.deepEqual(words("2001:db8:1234:5678:11:2233:4455:6677"), [0x20010db8, 0x12345678, 0x00112233, 0x44556677]);
  assert.deepEqual(words("::"), [0, 0, 0, 0]);
  assert.deepEqual(words("::1"), [0, 0, 0, 1]);
  assert.deepEqual(words("1::"), [0x10000, 0, 0, 0]);
  assert.deepEqual(words("FE80::aBcD"), [0xfe800000, 0, 0, 0xabcd]);
  assert.deepEqual(words("1:2:3:4:5:6:7::"), [0x10002, 0x30004, 0x50006, 0x70000]);
  assert.deepEqual(words("::2:3:4:5:6:7:8"), [2, 0x30004, 0x50006, 0x70008]);
  assert.deepEqual(words("::ffff:192.0.2.1"), [0, 0, 0xffff, 0xc0000201]);
  assert.deepEqual(words("1:2:3:4:5:6:192.0.2.1"), [0x10002, 0x30004, 0x50006, 0xc0000201]);
  assert.deepEqual(words("64:ff9b::192.0.2.33"), [0x64ff9b, 0, 0, 0xc0000221]);
  for (const text of [":", ":::", "1:::2", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::"]) {
    assert.equal(parseIp(text), undefined, text);
  }
  for (const text of [
    ":1::",
    "1:",
    "12345::",
    "::1.2.3",
    "::1.2.3.4:5",
    "1:2:3:4:5:6:7:1.2.3.4",
    "::1.2.3.04",
    "[::1]",
  ]) {
    assert.equal(parseIp(text), undefined, text);
  }
});

test("RFC 4007 §11: a zone is kept in the text and takes no part in comparison", () => {
  const scoped = parseIp("FE80::1%eth0", 9) as Address;
  assert.equal(formatIp(scoped), "FE80::1%eth0");
  assert.equal(formatAddress(scoped), "[FE80::1%eth0]:9");
  assert.ok(sameAddress(scoped, parseIp("fe80::1%wlan_0", 9) as Address));
  assert.ok(parseIp("::ffff:192.0.2.1%br-1"));
  for (const zone of ["", " ", "a b", "a/b", "a%b", "a]b", "\n", "\u00e9", "x".repeat(65)]) {
    assert.equal(parseIp(`fe80::1%${zone}`), undefined, JSON.stringify(zone));
  }
});

test("RFC 5952 §4, §5: one form for each IPv6 address", () => {
  const canonical: readonly (readonly [string, string])[] = [
    ["2001:0DB8::0001", "2001:db8::1"],
    ["2001:db8:0:0:0:0:2:1", "2001:db8::2:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1:0:0:0:0:0:0:0", "1::"],
    ["::ffff:c000:201", "::ffff:192.0.2.1"],
    ["::c000:201", "::c000:201"],
    ["64:ff9b::c000:221", "64:ff9b::c000:221"],
  ];
  for (const [text, form] of canonical) assert.equal(formatIp(parseIp(text) as Address), form);
  assert.equal(formatAddress(parseIp("2001:db8::1", 3478) as Address), "[2001:db8::1]:3478");
  assert.equal(formatAddress(parseIp("192.0.2.1", 3478) as Address), "192.0.2.1:3478");
});

test("parsing into an address leaves its port and replaces everything else", () => {
  const out: Address = { family: 6, w0: 1, w1: 2, w2: 3, w3: 4, port: 5, text: "old" };
  assert.ok(parseIpInto("192.0.2.1", out));
  assert.deepEqual(out, ipv4(0xc0000201, 5));
  assert.ok(parseIpInto("::1", out));
  assert.deepEqual(out, { family: 6, w0: 0, w1: 0, w2: 0, w3: 1, port: 5, text: "" });
});

test("comparison and hashes see every word, the family and the port, and nothing else", () => {
  fc.assert(
    fc.property(anyAddress, fc.constantFrom("w0", "w1", "w2", "w3", "port"), word, (a, field, seed) => {
      const b = { ...copyAddress(a), text: "note" };
      assert.ok(sameAddress(a, b) && sameIp(a, b));
      assert.equal(hashIp(a, seed), hashIp(b, seed));
      assert.equal(hashAddress(a, seed), hashAddress(b, seed));
      b[field] = (b[field] ^ 1) >>> 0;
      assert.ok(!sameAddress(a, b));
      assert.equal(sameIp(a, b), field === "port");
    }),
  );
  const v4 = ipv4(1, 1);
  assert.ok(!sameIp(v4, { ...v4, family: 6 }));
  assert.notEqual(hashIp(v4, 7), hashIp({ ...v4, family: 6 }, 7));
});

test("hashes spread adjacent addresses and ports over a table, whatever the seed", () => {
  for (const seed of [0, 1, 0xffffffff, 0x12345678]) {
    const load = new Uint16Array(256);
    for (let i = 0; i < 16_384; i++) {
      const slot = hashAddress(ipv4(0x0a000000 + (i >> 4), 50_000 + (i & 15)), seed) & 255;
      load[slot] = (load[slot] as number) + 1;
    }
    assert.ok(Math.max(...load) < 64 * 2 && Math.min(...load) > 64 / 3, `seed ${seed}: ${Math.max(...load)}`);
  }
});

test("an assigned address equals its source and is independent of it", () => {
  fc.assert(
    fc.property(anyAddress, (a) => {
      const b = blankAddress();
      assignAddress(b, a);
      assert.deepEqual(b, a);
      a.port ^= 1;
      assert.ok(!sameAddress(a, b));
    }),
  );
});
