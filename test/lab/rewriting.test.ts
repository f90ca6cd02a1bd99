import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { rewritePayload } from "../../src/lab/rewriting.ts";
import { fillTransportChecksum, transportOf } from "../../src/lab/transport-checksum.ts";

const start = 8;
const router = { outside: "203.0.113.11", inside: "10.0.1.2" };
const elsewhere = "203.0.113.1";

function bytesOf(address: string): number[] {
  return address.split(".").map(Number);
}

interface Given {
  readonly source: string;
  readonly destination: string;
  readonly payload: readonly number[];
  readonly protocol?: 6 | 17;
  readonly fragment?: number;
}

/** An Ethernet frame behind `start` other bytes, with junk after the packet. */
function frame({ source, destination, payload, protocol = 17, fragment = 0 }: Given): Buffer {
  const transport = protocol === 17 ? [0, 1, 0, 2, 0, 8 + payload.length, 0, 0] : [0, 1, 0, 2, ...Array(8).fill(0)];
  if (protocol === 6) transport.push(5 << 4, 0, 0, 0, 0, 0, 0, 0);
  const length = 20 + transport.length + payload.length;
  const ip = [0x45, 0, length >> 8, length & 255, 0, 0, fragment >> 8, fragment & 255, 64, protocol, 0, 0];
  const ethernet = [...Array(12).fill(0), 8, 0];
  const bytes = [...Array(start).fill(0), ...ethernet, ...ip, ...bytesOf(source), ...bytesOf(destination)];
  return Buffer.from([...bytes, ...transport, ...payload, 0xee, 0xee]);
}

function payloadOf(bytes: Buffer, protocol: 6 | 17 = 17): number[] {
  return [...bytes.subarray(start + 34 + (protocol === 17 ? 8 : 20), -2)];
}

/** RFC 1071 §1: with its checksum in it, a segment and its pseudo-header sum to all ones. */
function sumsUp(bytes: Buffer): boolean {
  const { ip, header, end } = transportOf(bytes, start)!;
  const segment = [...bytes.subarray(header, end), ...((end - header) % 2 === 1 ? [0] : [])];
  const all = [...bytes.subarray(ip + 12, ip + 20), 0, bytes[ip + 9]!, 0, end - header, ...segment];
  let sum = 0;
  for (let i = 0; i < all.length; i += 2) sum += (all[i]! << 8) + all[i + 1]!;
  while (sum > 0xffff) sum = (sum >>> 16) + (sum & 0xffff);
  return sum === 0xffff;
}

describe("a router that rewrites addresses inside packets", () => {
  for (const protocol of [17, 6] as const) {
    test(`puts its own address in the place of the inside one, on the way out (protocol ${protocol})`, () => {
      const payload = [1, ...bytesOf(router.inside), 2, ...bytesOf(router.inside), 3];
      const bytes = frame({ source: router.outside, destination: elsewhere, payload, protocol });
      rewritePayload(bytes, start, [router]);
      const outside = bytesOf(router.outside);
      assert.deepEqual(payloadOf(bytes, protocol), [1, ...outside, 2, ...outside, 3]);
      assert.ok(sumsUp(bytes));
    });
  }

  test("puts the inside address in the place of its own, on the way in", () => {
    const bytes = frame({ source: elsewhere, destination: router.outside, payload: bytesOf(router.outside) });
    rewritePayload(bytes, start, [router]);
    assert.deepEqual(payloadOf(bytes), bytesOf(router.inside));
    assert.ok(sumsUp(bytes));
  });

  test("leaves the packets of others alone, and fragments", () => {
    const payload = bytesOf(router.inside);
    for (const given of [
      { source: "203.0.113.60", destination: elsewhere, payload },
      { source: router.outside, destination: elsewhere, payload, fragment: 0x2000 },
      { source: router.outside, destination: elsewhere, payload, fragment: 1 },
    ]) {
      const bytes = frame(given);
      rewritePayload(bytes, start, [router]);
      assert.deepEqual(payloadOf(bytes), payload);
    }
  });
});

describe("the checksum that a network card would fill in", () => {
  test("RFC 768: is right for odd lengths, and never zero over UDP", () => {
    const ends = { source: elsewhere, destination: router.outside };
    const blank = frame({ ...ends, payload: [0, 0] });
    fillTransportChecksum(blank, start);
    const { checksum } = transportOf(blank, start)!;
    // With its own checksum as payload, the sum is all ones, whose complement is zero.
    const payload = [...blank.subarray(checksum, checksum + 2)];
    for (const some of [[7], [7, 8], payload]) {
      const bytes = frame({ ...ends, payload: some });
      fillTransportChecksum(bytes, start);
      assert.notEqual(bytes.readUInt16BE(checksum), 0);
      assert.ok(sumsUp(bytes));
    }
  });

  test("is left alone in what is cut short, and in what is neither UDP nor TCP", () => {
    const whole = frame({ source: elsewhere, destination: router.outside, payload: [1, 2, 3] });
    for (let length = 0; length < whole.length - 2; length++) {
      assert.equal(transportOf(whole.subarray(0, length), start), undefined);
    }
    const icmp = Buffer.from(whole);
    icmp[start + 14 + 9] = 1;
    fillTransportChecksum(icmp, start);
    assert.equal(transportOf(icmp, start), undefined);
    assert.equal(icmp.readUInt16BE(start + 34 + 6), 0);
  });
});
