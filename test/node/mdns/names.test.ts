/** What is believed of names, and how much is asked at once. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { parseIp } from "../../../src/core/base/address.ts";
import { parsePrefix } from "../../../src/core/base/prefix.ts";
import { Lookups } from "../../../src/node/mdns/lookups.ts";
import { isNeighbour, isPossible, type Place } from "../../../src/node/mdns/places.ts";

suite("RFC 6762 §11: what comes from elsewhere than the link is ignored", () => {
  const place = (family: 4 | 6, ...cidrs: readonly string[]): Place => ({
    ...{ name: "eth0", family, address: "" },
    prefixes: cidrs.map((cidr) => parsePrefix(cidr)!),
  });
  const ipv6 = place(6, "2001:db8::5/64", "fe80::5/64");
  const cases: readonly (readonly [string, Place, boolean])[] = [
    ["192.0.2.9", place(4, "192.0.2.1/24"), true],
    ["198.51.100.9", place(4, "192.0.2.1/24"), false],
    ["198.51.100.9", place(4, "192.0.2.1/24", "198.51.100.1/24"), true],
    ["2001:db8::9", ipv6, true],
    ["2001:db8:1::9", ipv6, false],
    ["fe80::9%eth0", ipv6, true],
    ["fe80::9%eth1", ipv6, false],
    ["192.0.2.9", ipv6, false],
  ];
  for (const [from, where, expected] of cases) {
    test(`${from}: ${expected}`, () => assert.equal(isNeighbour(where, parseIp(from)!), expected));
  }
});

suite("where a neighbour can be", () => {
  const possible = ["10.0.0.1", "203.0.113.7", "169.254.7.7", "2001:db8::1", "fd00::1"];
  const impossible = ["0.0.0.0", "127.0.0.1", "224.0.0.251", "255.255.255.255", "::", "::1", "fe80::1", "ff02::fb"];
  for (const text of possible) test(text, () => assert.equal(isPossible(parseIp(text)!), true));
  for (const text of [...impossible, "::ffff:127.0.0.1"]) {
    test(`not at ${text}`, () => assert.equal(isPossible(parseIp(text)!), false));
  }
});

suite("names that are looked up", () => {
  test("are no more than 32 at once, and each is asked for once", async () => {
    const lookups = new Lookups();
    const found = Array.from({ length: 32 }, (_, n) => lookups.find(`${n}.local`, () => {}));
    assert.deepEqual(await lookups.find("32.local", () => {}), { why: "The peer has told more than 32 names." });
    const again = lookups.find("0.local", () => {});
    const address = parseIp("192.0.2.1")!;
    lookups.take("0.local", [address]);
    assert.deepEqual([await found[0], await again], [{ address }, { address }]);
    lookups.close();
    assert.deepEqual(await found[31], { why: "The connection is closed." });
    assert.ok(lookups.isIdle);
  });

  test("are not settled by an answer for another name, or without an address", async () => {
    const lookups = new Lookups();
    const found = lookups.find("a.local", () => {});
    lookups.take("b.local", [parseIp("192.0.2.1")!]);
    lookups.take("a.local", []);
    lookups.take("a.local", [parseIp("192.0.2.2")!, parseIp("192.0.2.2")!]);
    assert.deepEqual(await found, { address: parseIp("192.0.2.2")! });
  });
});
