import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, formatIp, parseIp } from "../../../src/core/base/address.ts";
import { areNeighbours, nearest } from "../../../src/core/base/nearest.ts";

const at = (ip: string): Address => parseIp(ip) ?? assert.fail(ip);
const addressOf = ({ address }: { readonly address: Address }): Address => address;

const ours = ["10.0.0.5", "192.168.7.1", "45.33.1.9", "127.0.0.1", "2a00:1450::5", "fd00::5"].map((ip) => ({
  address: at(ip),
}));

for (const [to, expected] of [
  ["10.200.3.4", "10.0.0.5"],
  ["192.168.7.77", "192.168.7.1"],
  // Most of its leading bits are those of 10.0.0.5.
  ["8.8.8.8", "45.33.1.9"],
  ["185.3.2.1", "45.33.1.9"],
  ["127.0.0.9", "127.0.0.1"],
  ["2606:4700::1", "2a00:1450::5"],
  ["fd12::1", "fd00::5"],
] as const) {
  test(`what goes to ${to} leaves from ${expected}`, () => {
    for (const places of [ours, ours.toReversed()]) {
      assert.equal(formatIp(nearest(places, addressOf, at(to))!.address), expected);
    }
  });
}

test("only the leading bits count", () => {
  const places = [{ address: at("2a00:1450::5") }, { address: at("2607:9:9:9:9:9:9:9") }];
  assert.equal(nearest(places, addressOf, at("2606:4700::5")), places[1]);
});

test("and from nowhere when no address is of its family", () => {
  assert.equal(nearest([{ address: at("10.0.0.5") }], addressOf, at("2606:4700::1")), undefined);
  assert.equal(nearest([], addressOf, at("10.0.0.5")), undefined);
});

test("neighbours are in one private range", () => {
  assert.equal(areNeighbours(at("10.0.0.5"), at("10.200.0.1")), true);
  assert.equal(areNeighbours(at("10.0.0.5"), at("192.168.0.1")), false);
  assert.equal(areNeighbours(at("8.8.8.8"), at("8.8.8.9")), false, "the Internet is no range");
});
