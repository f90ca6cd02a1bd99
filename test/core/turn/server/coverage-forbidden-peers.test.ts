/** security.md 3: whom a client may not reach through the relay, tried on every path that leads to a peer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Address } from "../../../../src/core/base/address.ts";
import { parsePrefix } from "../../../../src/core/base/prefix.ts";
import { type Client, CONFIG, ip, PEER, udpPath, World } from "../../../support/turn-world.ts";

/** The ranges that security.md names, and what IANA's special-purpose registries add to them. */
const RANGES: readonly string[] = [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"],
  ...["192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"],
  ...["224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32", "192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24"],
  ...["::/128", "::1/128", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "2001:db8::/32", "2001:2::/48"],
  ...["3fff::/20", "5f00::/16", "100::/64", "64:ff9b:1::/48", "2001::/23", "2620:4f:8000::/48"],
];

/** Forms of IPv6 that carry an IPv4 address; `v4` is in hexadecimal groups. */
const FORMS: Readonly<Record<string, (high: string, low: string) => string>> = {
  "IPv4-mapped": (high, low) => `::ffff:${high}:${low}`,
  "IPv4-compatible": (high, low) => `::${high}:${low}`,
  "6to4": (high, low) => `2002:${high}:${low}::1`,
  "Teredo, as server": (high, low) => `2001:0:${high}:${low}::1`,
  "Teredo, as client": (high, low) => `2001:0:808:808:0:0:${inverted(high)}:${inverted(low)}`,
  "NAT64, well-known": (high, low) => `64:ff9b::${high}:${low}`,
  "NAT64, local use": (high, low) => `64:ff9b:1::${high}:${low}`,
  "NAT64, local use, /48": (high, low) => `64:ff9b:1:${high}:${low.slice(0, 2)}:${low.slice(2)}00::`,
  "ISATAP, private": (high, low) => `2600:1::5efe:${high}:${low}`,
  "ISATAP, public": (high, low) => `2600:1::200:5efe:${high}:${low}`,
};

function inverted(group: string): string {
  return (~Number.parseInt(group, 16) & 0xffff).toString(16);
}

function groups(text: string): [string, string] {
  const { w3 } = ip(text);
  const group = (n: number): string => n.toString(16).padStart(4, "0");
  return [group(w3 >>> 16), group(w3 & 0xffff)];
}

/** The first, a middle and the last address of a range. */
function probes(range: string): Address[] {
  const prefix = parsePrefix(range);
  assert.ok(prefix, range);
  const words = [prefix.address.w0, prefix.address.w1, prefix.address.w2, prefix.address.w3];
  const at = prefix.address.family === 4 ? 96 : 0;
  const filled = (pattern: number): Address => {
    const [w0, w1, w2, w3] = words.map((word, i) => {
      const bits = Math.min(32, Math.max(0, prefix.length + at - 32 * i));
      const host = bits === 0 ? 0xffffffff : bits === 32 ? 0 : 0xffffffff >>> bits;
      return (word | (host & pattern)) * (prefix.address.family === 4 && i < 3 ? 0 : 1);
    }) as [number, number, number, number];
    return { ...prefix.address, w0, w1, w2, w3 };
  };
  return [filled(0), filled(0x55555555), filled(0xffffffff)];
}

function dual(world: World): Client {
  const client = world.client();
  const allocated = client.allocate((w) => w.u32(0x8000, 2 << 24));
  assert.equal(allocated.relayed.length, 2);
  return client;
}

/** Refused by CreatePermission, by ChannelBind, by Send; and alone or beside a good one. */
function assertRefused(world: World, client: Client, peer: Readonly<Address>, what: string): void {
  const at = { ...peer, port: 9000 };
  const before = { ...world.server.stats };
  assert.equal(client.permit(at).code, 403, `CreatePermission: ${what}`);
  assert.equal(client.permit(PEER, at).code, 403, `CreatePermission beside another: ${what}`);
  assert.equal(client.bindChannel(0x4000, at).code, 403, `ChannelBind: ${what}`);
  assert.equal(client.send(at, new Uint8Array(4)), undefined, `Send: ${what}`);
  assert.equal(client.sendOnChannel(0x4000, new Uint8Array(4)), undefined, `ChannelData: ${what}`);
  assert.equal(world.server.stats.permissions, before.permissions);
  assert.equal(world.server.stats.channels, before.channels);
  assert.equal(world.server.stats.packetsToPeers, before.packetsToPeers);
}

test("RFC 8656 §10.2, §11.2, §12.2: every special-purpose range is refused on every path", () => {
  const world = new World();
  const client = dual(world);
  for (const range of RANGES)
    for (const peer of probes(range)) assertRefused(world, client, peer, `${range} ${JSON.stringify(peer)}`);
});

test("just outside of the special-purpose ranges peers are ordinary", () => {
  const world = new World();
  const client = dual(world);
  const ordinary = [
    ...["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"],
    ...["169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255"],
    ...["192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.112.255", "203.0.114.0", "223.255.255.255"],
    ...[
      "2600::1",
      "2001:200::1",
      "2001:db7:ffff::1",
      "2001:db9::1",
      "2a00::1",
      "64:ff9b::808:808",
      "2600:1::5efe:808:808",
    ],
  ];
  for (const text of ordinary) assert.equal(client.permit(ip(text)).code, 0, text);
});

test("RFC 8656 §10.2: no IPv6 form that carries a forbidden IPv4 address gets around the list", () => {
  const world = new World();
  const client = dual(world);
  const inside = [
    "10.0.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "0.0.0.0",
    "224.0.0.1",
    "5.5.5.1",
    "5.5.5.2",
  ];
  for (const v4 of inside) {
    for (const [form, write] of Object.entries(FORMS)) {
      const text = write(...groups(v4));
      assertRefused(world, client, ip(text), `${form} of ${v4}: ${text}`);
    }
  }
});

test("IPv4-mapped, IPv4-compatible, 6to4, Teredo and local-use NAT64 are refused whatever they carry", () => {
  const world = new World();
  const client = dual(world);
  for (const [form, write] of Object.entries(FORMS)) {
    if (form.startsWith("ISATAP") || form === "NAT64, well-known") continue;
    assertRefused(world, client, ip(write(...groups("8.8.8.8"))), form);
  }
});

test("the host's own addresses are no peers: not its others, and its relays' only where an allocation lives", () => {
  const world = new World();
  const client = dual(world);
  assertRefused(world, client, ip("5.5.5.2"), "another address of the host");
  for (const own of ["5.5.5.1", "2a05::1"]) {
    for (const port of [22, 3478, 50_500]) {
      const at = ip(own, port);
      assert.equal(client.bindChannel(0x4000, at).code, 403, `ChannelBind ${own}:${port}`);
      assert.equal(client.permit(at).code, 0, "a permission is for an address: its allocations may be meant");
      assert.equal(client.send(at, new Uint8Array(4)), undefined, `Send ${own}:${port}`);
    }
  }
  assert.equal(world.server.stats.packetsToPeers, 0);
  assert.ok(world.server.stats.drops["own-address"] >= 6);
});

test("behind a 1:1 NAT the advertised address is as much the host's own as the bound one", () => {
  const relays = [{ bound: ip("10.7.0.1"), advertised: ip("6.6.6.1") }];
  const world = new World({ relays, ownAddresses: [ip("10.7.0.1")] });
  const client = world.client();
  assert.equal(client.allocate().relayed[0]?.w3, ip("6.6.6.1").w3);
  for (const text of ["10.7.0.1", "6.6.6.1"]) {
    assert.equal(client.bindChannel(0x4000, ip(text, 22)).code, 403, text);
    client.permit(ip(text, 22));
    assert.equal(client.send(ip(text, 22), new Uint8Array(4)), undefined, text);
  }
  assert.equal(client.permit(ip("10.7.0.2")).code, 403);
});

test("between two live allocations a packet is handed over, and never enters the kernel", () => {
  const world = new World();
  const a = world.client({ path: udpPath("8.8.4.4", 1) });
  const b = world.client({ path: udpPath("8.8.4.4", 2) });
  const [atA] = a.allocate().relayed as [Address];
  const [atB] = b.allocate().relayed as [Address];
  assert.equal(a.permit(atB).code, 0);
  assert.equal(a.send(atB, new Uint8Array(4)), undefined, "b has given no permission");
  assert.equal(b.bindChannel(0x4001, atA).code, 0);
  const forward = a.send(atB, new Uint8Array(4));
  assert.equal(forward?.flow.toward, "client");
  assert.deepEqual(forward.flow.client, b.path);
  assert.equal(forward.flow.channel, 0x4001);
  assert.equal(b.refresh(0).code, 0);
  assert.equal(a.send(atB, new Uint8Array(4)), undefined, "b is gone");
});

test("what comes by socket from an own address is dropped: it could be anybody on the host", () => {
  const world = new World();
  const client = world.client();
  const [at] = client.allocate().relayed as [Address];
  client.permit(ip("5.5.5.1"));
  world.takeOutputs();
  assert.equal(world.receiveFromPeer(new Uint8Array(4), ip("5.5.5.1", 50_999), world.relayAt(at)), undefined);
  assert.equal(world.takeSends().length, 0);
  assert.equal(world.server.stats.drops["own-address"], 1);
});

test("an address that becomes the host's own takes its permissions and channels with it", () => {
  const world = new World();
  const client = world.client();
  client.allocate();
  assert.equal(client.bindChannel(0x4000, PEER).code, 0);
  assert.ok(client.sendOnChannel(0x4000, new Uint8Array(4)));
  world.server.handleAddresses(CONFIG.relays, [...CONFIG.ownAddresses, PEER], world.now);
  world.drain();
  assert.equal(world.server.stats.permissions, 0);
  assert.equal(world.server.stats.channels, 0);
  assertRefused(world, client, PEER, "the host's own now");
});

test("a channel to an address that becomes a relay's own is handed over from then on, and back again", () => {
  const world = new World();
  const client = world.client();
  client.allocate();
  assert.equal(client.bindChannel(0x4000, PEER).code, 0);
  const relays = [...CONFIG.relays, { bound: PEER, advertised: PEER }];
  world.takeOutputs();
  world.server.handleAddresses(relays, CONFIG.ownAddresses, world.now);
  world.drain();
  assert.deepEqual(
    world.takeOutputs().map(({ kind }) => kind),
    ["withdraw", "withdraw"],
  );
  assert.equal(client.sendOnChannel(0x4000, new Uint8Array(4)), undefined);
  world.server.handleAddresses(CONFIG.relays, CONFIG.ownAddresses, world.now);
  world.drain();
  assert.deepEqual(
    world.takeOutputs().map(({ kind }) => kind),
    ["offload", "offload"],
  );
  assert.ok(client.sendOnChannel(0x4000, new Uint8Array(4)));
});

test("an operator's exception opens a range, but neither what is never a peer nor the host inside it", () => {
  const allow = ["10.0.0.0/8", "0.0.0.0/0", "::/0"].map((text) => parsePrefix(text)).filter((p) => p !== undefined);
  const world = new World({ ownAddresses: [ip("10.0.0.9")], peers: { ...CONFIG.peers, allow } });
  const client = dual(world);
  for (const text of ["10.0.0.1", "192.168.0.1", "fd00::1"]) assert.equal(client.permit(ip(text)).code, 0, text);
  for (const text of ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "::ffff:10.0.0.1", "::10.0.0.1", "ff02::1"]) {
    assertRefused(world, client, ip(text), text);
  }
  for (const text of ["10.0.0.9", "127.0.0.1", "::1"]) assertRefused(world, client, ip(text), text);
});

test("an exception that names the host opens it: for tests on loopback, and for a service beside the relay", () => {
  const allow = ["127.0.0.0/8", "::1/128", "10.0.0.9/32"]
    .map((text) => parsePrefix(text))
    .filter((p) => p !== undefined);
  const world = new World({ ownAddresses: [ip("10.0.0.9")], peers: { ...CONFIG.peers, allow } });
  const client = dual(world);
  for (const text of ["127.0.0.1", "127.9.9.9", "::1", "10.0.0.9"]) {
    assert.equal(client.permit(ip(text)).code, 0, text);
    assert.ok(client.send(ip(text, 80), new Uint8Array(4)), text);
  }
  assertRefused(world, client, ip("10.0.0.8"), "its neighbour");
});

test("an operator's deny list and ports hold on every path", () => {
  const deny = [parsePrefix("1.1.1.0/24")].filter((p) => p !== undefined);
  const world = new World({ peers: { allow: [], deny, ports: { min: 1024, max: 60_000 } } });
  const client = dual(world);
  assertRefused(world, client, ip("1.1.1.1"), "denied");
  assertRefused(world, client, ip("64:ff9b::101:101"), "denied, through NAT64");
  assert.equal(client.permit(ip("9.9.9.9")).code, 0);
  for (const port of [0, 1, 1023, 60_001]) {
    assert.equal(client.bindChannel(0x4000, ip("9.9.9.9", port)).code, 403, `port ${port}`);
    assert.equal(client.send(ip("9.9.9.9", port), new Uint8Array(4)), undefined, `port ${port}`);
  }
  for (const port of [1024, 60_000]) assert.ok(client.send(ip("9.9.9.9", port), new Uint8Array(4)), `port ${port}`);
});
