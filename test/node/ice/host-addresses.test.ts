import assert from "node:assert/strict";
import { test } from "node:test";
import { formatIp, parseIp } from "../../../src/core/base/address.ts";
import { usableAddresses } from "../../../src/node/ice/host-addresses.ts";
import type { InterfaceAddress } from "../../../src/node/interfaces.ts";

const found: InterfaceAddress[] = [
  ["lo", "127.0.0.1"],
  ["lo", "::1"],
  ["eth0", "192.0.2.1"],
  ["eth0", "fe80::1%eth0"],
  ["eth0", "2001:db8::1"],
  ["tun0", "10.8.0.2"],
].map(([name = "", text = ""]) => ({ name, address: parseIp(text)!, loopback: name === "lo" }));
const usable = (interfaces?: readonly string[]): string[] => usableAddresses(found, interfaces).map(formatIp);

test("RFC 8445 §5.1.1.1: loopback addresses are no candidates, nor are those whose zone means nothing elsewhere", () => {
  assert.deepEqual(usable(), ["192.0.2.1", "2001:db8::1", "10.8.0.2"]);
});

test("where interfaces are named it is those and no others, loopback among them", () => {
  assert.deepEqual(usable(["eth0"]), ["192.0.2.1", "2001:db8::1"]);
  assert.deepEqual(usable(["lo"]), ["127.0.0.1", "::1"]);
  assert.deepEqual(usable([]), []);
});
