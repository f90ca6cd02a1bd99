/** StreamFramer and ChannelData: whole, byte by byte and in pieces of any size. */
import assert from "node:assert/strict";
import { channelDataLength, encodeChannelHeader, looksLikeChannelData } from "../../src/core/turn/channel-data.ts";
import { type FramingFailure, StreamFramer } from "../../src/core/turn/stream-framing.ts";
import { hex } from "../support/bytes.ts";
import type { SeededRandom } from "../support/crypto.ts";
import { stunSeeds } from "./stun.ts";
import type { Target } from "./target.ts";

const MAX_FRAME = 1600;

const channelSeeds: readonly Uint8Array[] = [
  hex("4000 0000"),
  hex("4001 0005 0102030405 000000"),
  hex("4fff 0004 01020304"),
  hex("7fff 0001 01 000000"),
  hex("4000 063c"),
];

interface Framed {
  readonly frames: Uint8Array[];
  readonly failure: FramingFailure | undefined;
  readonly pending: number;
}

/** Feeds the stream in pieces whose sizes `size` tells, and takes every frame as soon as it is there. */
function framed(stream: Uint8Array, size: () => number): Framed {
  const framer = new StreamFramer(MAX_FRAME);
  const frames: Uint8Array[] = [];
  const copies: Uint8Array[] = [];
  for (let at = 0; at < stream.length; ) {
    const end = Math.min(stream.length, at + size());
    framer.push(stream.slice(at, end));
    for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
      frames.push(frame);
      copies.push(frame.slice());
    }
    assert.ok(framer.pending < MAX_FRAME);
    at = end;
  }
  assert.deepEqual(frames, copies, "a frame handed out never changes");
  return { frames, failure: framer.failure, pending: framer.pending };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export const framingTarget: Target = {
  name: "framing",
  seeds: [...stunSeeds, ...channelSeeds, joined([...channelSeeds.slice(0, 4), ...stunSeeds.slice(0, 3)])],
  run(input: Uint8Array, random: SeededRandom): boolean {
    const whole = framed(input, () => input.length);
    for (const size of [() => 1, () => 1 + random.below(40)]) {
      const pieces = framed(input, size);
      assert.deepEqual(pieces.frames, whole.frames);
      assert.equal(pieces.failure === undefined, whole.failure === undefined);
      assert.equal(pieces.pending, whole.pending);
    }
    const bytes = joined(whole.frames);
    assert.deepEqual(bytes, input.slice(0, bytes.length), "nothing is lost, repeated or reordered");
    if (whole.failure === undefined) assert.equal(bytes.length + whole.pending, input.length);
    for (const frame of whole.frames) assert.ok(frame.length % 4 === 0 && frame.length <= MAX_FRAME);
    return whole.frames.length > 0;
  },
  decode(input: Uint8Array): void {
    framed(input, () => 1);
  },
};

export const channelDataTarget: Target = {
  name: "channel-data",
  seeds: channelSeeds,
  run(input: Uint8Array): boolean {
    for (let length = 0; length <= input.length; length++) {
      const payload = channelDataLength(input, length);
      assert.ok(payload >= -1 && payload <= Math.max(-1, length - 4));
      if (payload < 0) continue;
      const again = new Uint8Array(4);
      encodeChannelHeader(again, 0, ((input[0] as number) << 8) | (input[1] as number), payload);
      assert.deepEqual(again, input.slice(0, 4));
    }
    assert.equal(looksLikeChannelData(input[0] ?? 0), input.length > 0 && ((input[0] as number) & 0xc0) === 0x40);
    return channelDataLength(input, input.length) >= 0;
  },
  decode: (input) => void channelDataLength(input, input.length),
};
