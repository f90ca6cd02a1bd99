import assert from "node:assert/strict";
import type { NetworkInterfaceInfo } from "node:os";
import { test } from "node:test";
import { formatIp } from "../../src/core/base/address.ts";
import {
  type InterfaceChange,
  interfaceAddresses,
  interfaceChange,
  watchInterfaces,
} from "../../src/node/interfaces.ts";

type Interfaces = Record<string, NetworkInterfaceInfo[]>;

function entry(address: string, internal = false): NetworkInterfaceInfo {
  const common = { address, netmask: "", mac: "00:00:00:00:00:00", internal, cidr: null };
  if (!address.includes(":")) return { ...common, family: "IPv4" };
  return { ...common, family: "IPv6", scopeid: address.startsWith("fe80") ? 2 : 0 };
}

const lo = [entry("127.0.0.1", true), entry("::1", true)];
const texts = (list: readonly { address: Parameters<typeof formatIp>[0] }[]) => list.map((a) => formatIp(a.address));

test("this host has a loopback address", () => {
  const found = interfaceAddresses().find(({ address }) => formatIp(address) === "127.0.0.1");
  assert.equal(found?.loopback, true);
  assert.equal(found.address.port, 0);
});

test("addresses are read with their interface, and link-local ones with their zone", () => {
  const read = (): Interfaces => ({ lo, eth0: [entry("198.51.100.7"), entry("fe80::1"), entry("2001:db8::7")] });
  const all = interfaceAddresses(read);
  assert.deepEqual(texts(all), ["127.0.0.1", "::1", "198.51.100.7", "fe80::1%eth0", "2001:db8::7"]);
  assert.deepEqual(
    all.map((a) => `${a.name} ${a.loopback}`),
    ["lo true", "lo true", "eth0 false", "eth0 false", "eth0 false"],
  );
});

test("what came and what went", () => {
  const before = interfaceAddresses(() => ({ lo, eth0: [entry("198.51.100.7")] }));
  const now = interfaceAddresses(() => ({ eth0: [entry("198.51.100.8")], lo }));
  assert.equal(interfaceChange(before, before.toReversed()), undefined);
  const change = interfaceChange(before, now) as InterfaceChange;
  assert.deepEqual(texts(change.added), ["198.51.100.8"]);
  assert.deepEqual(texts(change.removed), ["198.51.100.7"]);
  assert.equal(change.addresses, now);
});

test("the same address on another interface is a change", () => {
  const before = interfaceAddresses(() => ({ eth0: [entry("198.51.100.7")] }));
  const change = interfaceChange(
    before,
    interfaceAddresses(() => ({ eth1: [entry("198.51.100.7")] })),
  );
  assert.deepEqual([change?.added[0]?.name, change?.removed[0]?.name], ["eth1", "eth0"]);
});

test("a watch reports each change once, until it is disposed of", (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  let current: Interfaces = { lo };
  const changes: InterfaceChange[] = [];
  const watch = watchInterfaces((change) => changes.push(change), { everyMs: 1_000, read: () => current });
  context.mock.timers.tick(3_000);
  assert.equal(changes.length, 0);
  current = { lo, wlan0: [entry("203.0.113.5")] };
  context.mock.timers.tick(999);
  context.mock.timers.tick(3_000);
  assert.deepEqual(
    changes.map((c) => texts(c.added)),
    [["203.0.113.5"]],
  );
  watch[Symbol.dispose]();
  current = { lo };
  context.mock.timers.tick(10_000);
  assert.equal(changes.length, 1);
});

test("a watch looks when it is told to, and does not report the same again", (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  let current: Interfaces = { lo };
  const changes: InterfaceChange[] = [];
  using watch = watchInterfaces((change) => changes.push(change), { everyMs: 1_000, read: () => current });
  current = { lo, wlan0: [entry("203.0.113.5")] };
  watch.look();
  context.mock.timers.tick(3_000);
  assert.deepEqual(
    changes.map((c) => texts(c.added)),
    [["203.0.113.5"]],
  );
});

test("where no descriptor is left to read them with, the last reading stands and the watch goes on", (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  let read = (): Interfaces => ({ lo });
  const changes: InterfaceChange[] = [];
  const failures: unknown[] = [];
  using _watch = watchInterfaces((change) => changes.push(change), {
    everyMs: 1_000,
    read: () => read(),
    onFailure: (error) => failures.push(error),
  });
  const exhausted = new Error("EMFILE");
  read = () => {
    throw exhausted;
  };
  context.mock.timers.tick(2_000);
  assert.deepEqual(failures, [exhausted, exhausted]);
  assert.equal(changes.length, 0);
  read = () => ({ lo, wlan0: [entry("203.0.113.5")] });
  context.mock.timers.tick(1_000);
  assert.equal(changes.length, 1);
});
