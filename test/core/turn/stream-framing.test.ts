import assert from "node:assert/strict";
import { test } from "node:test";
import { StreamFramer } from "../../../src/core/turn/stream-framing.ts";
import { hex } from "../../support/bytes.ts";
import { sampleLongTermRequest, sampleRequest } from "../../vectors/rfc5769.ts";

const channelData = hex("4001 0005 0102030405 000000");
const stream = new Uint8Array([...sampleRequest, ...channelData, ...sampleLongTermRequest, ...channelData]);
const frames = [sampleRequest, channelData, sampleLongTermRequest, channelData];

/** Every frame that `framer` gives after `chunk`. */
function taken(framer: StreamFramer, chunk: Uint8Array): Uint8Array[] {
  framer.push(chunk);
  const all: Uint8Array[] = [];
  for (let frame = framer.next(); frame !== undefined; frame = framer.next()) all.push(frame);
  return all;
}

test("RFC 8656 §12.5: STUN messages and padded ChannelData follow each other without other framing", () => {
  assert.deepEqual(taken(new StreamFramer(1600), stream), frames);
});

test("however the stream is cut in two, the frames are the same, and the bytes of the chunks are not written to", () => {
  const untouched = stream.slice();
  for (let cut = 0; cut <= stream.length; cut++) {
    const framer = new StreamFramer(1600);
    const before = taken(framer, stream.subarray(0, cut));
    assert.deepEqual([...before, ...taken(framer, stream.subarray(cut))], frames, `cut at ${cut}`);
    assert.equal(framer.pending, 0);
  }
  assert.deepEqual(stream, untouched);
});

test("byte by byte: a frame comes with its last byte, and frames handed out stay as they were", () => {
  const framer = new StreamFramer(1600);
  const all: Uint8Array[] = [];
  for (let at = 0; at < stream.length; at++) {
    const now = taken(framer, stream.slice(at, at + 1));
    const whole = frames.slice(0, all.length + 1).reduce((sum, frame) => sum + frame.length, 0);
    assert.equal(now.length, at + 1 === whole ? 1 : 0);
    all.push(...now);
  }
  assert.deepEqual(all, frames);
});

test("a frame of 64 KB in single bytes is copied a few times, not 64 thousand", (t) => {
  const set = Uint8Array.prototype.set;
  let copied = 0;
  t.mock.method(Uint8Array.prototype, "set", function (this: Uint8Array, from: ArrayLike<number>, at?: number) {
    copied += from.length;
    set.call(this, from, at);
  });
  const framer = new StreamFramer(70_000);
  const frame = new Uint8Array(65_540).fill(7);
  frame.set([0x40, 0x00, 0xff, 0xff]);
  copied = 0;
  for (let at = 0; at < frame.length - 1; at++) framer.push(frame.subarray(at, at + 1));
  assert.equal(framer.next(), undefined);
  assert.equal(framer.pending, 65_539);
  framer.push(frame.subarray(-1));
  assert.deepEqual(framer.next(), frame);
  assert.ok(copied < 4 * frame.length, `${copied} bytes copied`);
});

test("a claimed length takes no memory before its bytes come", () => {
  const framer = new StreamFramer(70_000);
  framer.push(hex("4000 ff"));
  framer.push(hex("ff"));
  framer.push(hex("00"));
  assert.equal(framer.next(), undefined);
  assert.equal(framer.pending, 5);
});

test("what is neither STUN nor ChannelData ends the stream, as soon as that can be told", () => {
  const hostile = ["80", "ff", "16030102", "00010000 2112a443", "00010001", "0001 0003 2112a442", "00010000 00000000"];
  for (const bytes of hostile) {
    const framer = new StreamFramer(1600);
    assert.deepEqual(taken(framer, hex(bytes)), []);
    assert.equal(framer.failure, "not-a-frame", bytes);
  }
  for (const bytes of ["", "00", "0001", "000100", "00010000", "00010000 2112a4", "40", "4000ff"]) {
    const framer = new StreamFramer(1600);
    assert.deepEqual(taken(framer, hex(bytes)), []);
    assert.equal(framer.failure, undefined, bytes);
    assert.equal(framer.pending, hex(bytes).length);
  }
});

test("the longest frame is taken, and one that would be longer ends the stream, before its bytes have come", () => {
  const longest = new Uint8Array(1600);
  longest.set(hex("4000 063c"));
  assert.deepEqual(taken(new StreamFramer(1600), longest), [longest]);
  for (const header of ["4000 063d", "4000 ffff", "0001 0630 2112a442", "0001 fffc 2112a442"]) {
    const framer = new StreamFramer(1600);
    assert.deepEqual(taken(framer, hex(header)), []);
    assert.equal(framer.failure, "frame-too-long", header);
  }
});

test("after a failure nothing comes any more, but what came before was good", () => {
  const framer = new StreamFramer(1600);
  assert.deepEqual(taken(framer, new Uint8Array([...channelData, 0xff, ...channelData])), [channelData]);
  assert.equal(framer.failure, "not-a-frame");
  assert.deepEqual(taken(framer, channelData), []);
  assert.equal(framer.pending, 0);
});
