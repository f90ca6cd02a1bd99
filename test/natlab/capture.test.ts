import assert from "node:assert/strict";
import { test } from "node:test";
import { natBehavior } from "../../src/natlab/behavior.ts";
import { encodeIp } from "../../src/natlab/ip-bytes.ts";
import type { Packet } from "../../src/natlab/packet.ts";
import { toAddress } from "../../src/natlab/surroundings.ts";
import { behind } from "./observe.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function packet(source: string, destination: string, payload: readonly number[], dontFragment = false): Packet {
  return {
    protocol: "udp",
    segment: undefined,
    source: toAddress(source, 5000),
    destination: toAddress(destination, 3478),
    payload: Uint8Array.from(payload),
    hopLimit: 64,
    dontFragment,
    piece: 1500,
  };
}

/** What a receiver computes over header, pseudo-header and payload: 0xffff when nothing was damaged. */
function onesComplement(...parts: readonly Uint8Array[]): number {
  let total = 0;
  for (const part of parts) for (const [n, byte] of part.entries()) total += n % 2 === 0 ? byte << 8 : byte;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

test("IPv4 and UDP headers, byte for byte, with checksums that add up", () => {
  const bytes = encodeIp(packet("192.168.1.2", "198.51.100.1", [1, 2, 3], true));
  assert.match(hex(bytes), /^4500001f000040004011....c0a80102c633640113880d96000b....010203$/);
  assert.equal(onesComplement(bytes.subarray(0, 20)), 0xffff);
  const pseudo = Uint8Array.of(0, 17, 0, 11);
  assert.equal(onesComplement(bytes.subarray(12, 20), pseudo, bytes.subarray(20)), 0xffff);
  assert.equal(hex(encodeIp(packet("192.168.1.2", "198.51.100.1", []))).slice(12, 16), "0000");
});

test("IPv6 likewise", () => {
  const bytes = encodeIp(packet("2001:db8::1", "2001:db8::2", [1, 2, 3, 4]));
  const addresses = "20010db8000000000000000000000001".concat("20010db8000000000000000000000002");
  assert.match(hex(bytes), new RegExp(`^60000000000c1140${addresses}13880d96000c....01020304$`));
  assert.equal(onesComplement(bytes.subarray(8, 40), Uint8Array.of(0, 17, 0, 12), bytes.subarray(40)), 0xffff);
});

test("a checksum that comes to zero is sent as all ones", () => {
  const bare = encodeIp(packet("192.0.2.1", "192.0.2.2", [0, 0]));
  const bytes = encodeIp(packet("192.0.2.1", "192.0.2.2", [...bare.subarray(26, 28)]));
  assert.equal(hex(bytes.subarray(26, 28)), "ffff");
});

interface Record {
  readonly at: number;
  readonly source: string;
}

/** Reads a little-endian pcap file of IPv4 packets. */
function read(file: Uint8Array): Record[] {
  const view = Buffer.from(file);
  assert.equal(view.readUInt32LE(0), 0xa1b2c3d4);
  assert.deepEqual([view.readUInt16LE(4), view.readUInt16LE(6), view.readUInt32LE(20)], [2, 4, 101]);
  const records: Record[] = [];
  for (let at = 24; at < view.length; at += 16 + view.readUInt32LE(at + 8)) {
    assert.equal(view.readUInt32LE(at + 8), view.readUInt32LE(at + 12));
    const microseconds = view.readUInt32LE(at) * 1e6 + view.readUInt32LE(at + 4);
    records.push({ at: microseconds, source: [...view.subarray(at + 28, at + 32)].join(".") });
  }
  return records;
}

test("a capture holds each packet once a link, with its virtual time and its translated source", () => {
  const { world, links, client, servers } = behind(1, natBehavior());
  const [home, internet] = links as [(typeof links)[0], (typeof links)[0]];
  home.change({ delay: 1500.25 });
  const [all, outside] = [world.capture(), world.capture(internet)];
  const inside = client.socket();
  servers.sockets.aa.onMessage = undefined;
  inside.send(new Uint8Array(1), servers.sockets.aa.address);
  world.settle();
  assert.deepEqual(read(all.bytes()), [
    { at: 0, source: "192.168.1.2" },
    { at: 1_500_250, source: "203.0.113.10" },
  ]);
  assert.deepEqual(read(outside.bytes()), [{ at: 1_500_250, source: "203.0.113.10" }]);
  all.stop();
  inside.send(new Uint8Array(1), servers.sockets.aa.address);
  world.settle();
  assert.deepEqual([read(all.bytes()).length, read(outside.bytes()).length], [2, 2]);
});
