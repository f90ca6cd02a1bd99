/** The ring against a queue, on one thread, where every order of steps can be tried; with two in neighbours.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Address, formatAddress, parseIp } from "../../../src/core/base/address.ts";
import { type IpFields, NO_FIELDS } from "../../../src/core/base/ip-fields.ts";
import { createPacketRing, RingReader, RingWriter } from "../../../src/node/shard/packet-ring.ts";

const from = parseIp("192.0.2.1", 65_535) as Address;
const to = parseIp("198.51.100.2", 1) as Address;
const from6 = parseIp("2001:db8::1", 40_000) as Address;
const to6 = parseIp("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 50_000) as Address;

interface Packet {
  readonly data: Buffer;
  readonly from: string;
  readonly to: string;
  readonly fields: IpFields;
}

/** Differs from packet to packet and from place to place. */
function pattern(length: number, seed: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17 + (i >> 8)) & 255));
}

function readAll(reader: RingReader, most = Number.POSITIVE_INFINITY): Packet[] {
  const packets: Packet[] = [];
  reader.read(most, (bytes, offset, length, source, destination, fields) => {
    const data = Buffer.from(bytes.subarray(offset, offset + length));
    packets.push({ data, from: formatAddress(source), to: formatAddress(destination), fields });
  });
  return packets;
}

test("what is read is what was written, of any length, with both addresses of either family", () => {
  const memory = createPacketRing();
  const reader = new RingReader(memory);
  const writer = new RingWriter(memory);
  const surrounded = Buffer.concat([Buffer.alloc(7, 0xff), pattern(300, 1), Buffer.alloc(9, 0xff)]);
  assert.ok(writer.write(surrounded, 7, 300, from, to, 0x1_40_2e));
  for (const length of [0, 1, 256, 257, 1200, 65_507])
    assert.ok(writer.write(pattern(length, 2), 0, length, from6, to6, NO_FIELDS));
  const [first, ...rest] = readAll(reader);
  assert.deepEqual(first, {
    data: pattern(300, 1),
    from: formatAddress(from),
    to: formatAddress(to),
    fields: 0x1_40_2e,
  });
  assert.deepEqual(
    rest,
    [0, 1, 256, 257, 1200, 65_507].map((length) => {
      return { data: pattern(length, 2), from: formatAddress(from6), to: formatAddress(to6), fields: NO_FIELDS };
    }),
  );
});

test("property: a ring is a bounded queue, also where its positions wrap at 2^32, and whoever dies", () => {
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ write: fc.oneof(fc.integer({ min: 0, max: 65_507 }), fc.integer({ min: 0, max: 1500 })) }),
    },
    { weight: 3, arbitrary: fc.record({ read: fc.integer({ min: 1, max: 40 }) }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom("writer dies" as const, "reader dies" as const, "writer dies while writing" as const),
    },
  );
  const start = fc.constantFrom(0, 0xffff_ff00, 0x7fff_ff00);
  fc.assert(
    fc.property(start, fc.array(step, { maxLength: 120 }), (position, steps) => {
      const memory = createPacketRing();
      new Int32Array(memory).fill(position, 0, 1).fill(position, 16, 17);
      let reader = new RingReader(memory);
      let writer = new RingWriter(memory);
      let queue: Buffer[] = [];
      let seed = 0;
      for (const what of steps) {
        if (what === "reader dies") {
          reader = new RingReader(memory);
          queue = [];
        } else if (what === "writer dies") writer = new RingWriter(memory);
        else if (what === "writer dies while writing") {
          const tail = new Int32Array(memory)[16] as number;
          writer.write(pattern(999, ++seed), 0, 999, from, to, NO_FIELDS);
          // As it is when the tail was not stored any more.
          new Int32Array(memory)[16] = tail;
          writer = new RingWriter(memory);
        } else if ("write" in what) {
          const data = pattern(what.write, ++seed);
          const isWritten = writer.write(data, 0, data.length, from, to, NO_FIELDS);
          if (isWritten) queue.push(data);
          // Room for three of the longest is always left by less than this.
          else assert.ok(queue.reduce((sum, { length }) => sum + length + 56, 0) > 300_000, "it was nearly full");
        } else {
          const packets = readAll(reader, what.read);
          assert.deepEqual(
            packets.map(({ data }) => data),
            queue.splice(0, what.read),
          );
        }
        assert.equal(writer.used === 0, queue.length === 0);
      }
      assert.deepEqual(
        readAll(reader).map(({ data }) => data),
        queue,
      );
    }),
    { numRuns: 150 },
  );
});

/** How many of the longest fit, with the positions beginning there. */
function roomFrom(position: number): number {
  const memory = createPacketRing();
  new Int32Array(memory).fill(position, 0, 1).fill(position, 16, 17);
  const reader = new RingReader(memory);
  const writer = new RingWriter(memory);
  const data = pattern(65_000, 1);
  let count = 0;
  while (count < 100 && writer.write(data, 0, data.length, from, to, NO_FIELDS)) count++;
  assert.ok(readAll(reader).every((packet) => packet.data.equals(data)));
  return count;
}

test("a ring is full of as much wherever its positions are, and what skips its end counts as taken", () => {
  assert.equal(roomFrom(0), 8);
  assert.equal(roomFrom(-(1 << 18)), 8, "over 2^32");
  const memory = createPacketRing();
  const [reader, writer] = [new RingReader(memory), new RingWriter(memory)];
  for (let i = 0; i < 8; i++) assert.ok(writer.write(pattern(60_000, i), 0, 60_000, from, to, NO_FIELDS));
  assert.equal(readAll(reader, 1).length, 1);
  // Not in front of the end, and at the beginning only up to the second packet.
  assert.equal(writer.write(pattern(60_008, 8), 0, 60_008, from, to, NO_FIELDS), false);
  assert.equal(writer.write(pattern(60_000, 9), 0, 60_000, from, to, NO_FIELDS), true);
  const seeds = [1, 2, 3, 4, 5, 6, 7, 9];
  assert.deepEqual(
    readAll(reader).map(({ data }) => data),
    seeds.map((seed) => pattern(60_000, seed)),
  );
});

test("nobody is woken who does not wait, and who waits is woken once", () => {
  const memory = createPacketRing();
  const [reader, writer] = [new RingReader(memory), new RingWriter(memory)];
  writer.write(pattern(5, 1), 0, 5, from, to, NO_FIELDS);
  assert.equal(writer.takeWaiting(), false);
  assert.equal(reader.wait(), false, "there is something to read");
  assert.equal(writer.takeWaiting(), false);
  readAll(reader);
  assert.equal(reader.wait(), true);
  writer.write(pattern(5, 1), 0, 5, from, to, NO_FIELDS);
  assert.equal(writer.takeWaiting(), true);
  assert.equal(writer.takeWaiting(), false);
});
