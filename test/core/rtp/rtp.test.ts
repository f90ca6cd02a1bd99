/** RTP and RTCP as they lie in a datagram, and what else a media port gets. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { packetKind } from "../../../src/core/rtp/demultiplex.ts";
import {
  hasMarker,
  isRtp,
  paddingOf,
  payloadTypeOf,
  rtpHeaderLength,
  sequenceOf,
  ssrcOf,
  timestampOf,
} from "../../../src/core/rtp/header.ts";
import { staticPayload } from "../../../src/core/rtp/payload-types.ts";
import { isRtcp, nextRtcp, RtcpType, rtcpCountAt, rtcpSenderOf, rtcpTypeAt } from "../../../src/core/rtp/rtcp.ts";
import { MAX_DROPOUT, SequenceMeter, sequenceDistance } from "../../../src/core/rtp/sequence.ts";
import { rtcp, rtp } from "./packets.ts";

suite("RFC 3550 §5.1: the header", () => {
  test("its fields, the marker beside the payload type", () => {
    const data = rtp({ payloadType: 101, marker: true, sequence: 0xfffe, timestamp: 0xdeadbeef, ssrc: 0xcafebabe });
    assert.ok(isRtp(data, data.length));
    assert.ok(hasMarker(data) && !hasMarker(rtp()));
    assert.deepEqual(
      [payloadTypeOf(data), sequenceOf(data), timestampOf(data), ssrcOf(data), rtpHeaderLength(data, data.length)],
      [101, 0xfffe, 0xdeadbeef, 0xcafebabe, 12],
    );
  });

  test("with sources and an extension; cut short in either it is none", () => {
    const data = rtp({ sources: 15, extension: 3, payload: 0 });
    assert.equal(rtpHeaderLength(data, data.length), 12 + 60 + 4 + 12);
    for (let length = 0; length <= data.length; length++) assert.equal(isRtp(data, length), length === data.length);
    for (const version of [0, 1, 3]) {
      data[0] = ((data[0] as number) & 0x3f) | (version << 6);
      assert.ok(!isRtp(data, data.length));
    }
  });

  test("padding that is more than there is, or none, cannot be", () => {
    const data = rtp({ padding: 8, payload: 4 });
    assert.equal(paddingOf(data, data.length), 8);
    assert.equal(paddingOf(rtp(), 172), 0);
    for (const count of [0, 13, 255]) {
      data[data.length - 1] = count;
      assert.equal(paddingOf(data, data.length), undefined);
    }
  });
});

suite("RFC 3550 §6: RTCP", () => {
  test("a compound is walked packet by packet, and must be whole", () => {
    const data = new Uint8Array([...rtcp(7, RtcpType.SenderReport), ...rtcp(7, RtcpType.Bye)]);
    assert.ok(isRtcp(data, data.length));
    assert.equal(rtcpSenderOf(data), 7);
    assert.equal(nextRtcp(data, data.length, 0), 8);
    assert.deepEqual([rtcpTypeAt(data, 8), rtcpCountAt(data, 8)], [203, 0]);
    for (let length = 0; length < data.length; length++) assert.equal(isRtcp(data, length), length === 8, `${length}`);
    assert.ok(!isRtcp(rtp(), 172));
  });

  test("SRTCP is whole in its first packet", () => {
    const sealed = rtcp(7, 200, [0x80, 0, 0, 1, 9, 9, 9, 9]);
    assert.ok(!isRtcp(sealed, sealed.length));
    assert.equal(nextRtcp(sealed, sealed.length, 0), 8);
  });
});

test("RFC 7983 §7, RFC 5761 §4: every first byte is one thing", () => {
  const kinds = Array.from({ length: 256 }, (_, first) => packetKind(Uint8Array.of(first, 0, 0, 0), 4));
  const ranges: readonly (readonly [number, number, string])[] = [
    [0, 3, "stun"],
    [4, 19, "other"],
    [20, 63, "dtls"],
    [64, 79, "turn-channel"],
    [80, 127, "other"],
    [128, 191, "rtp"],
    [192, 255, "other"],
  ];
  for (const [from, to, kind] of ranges) {
    for (let first = from; first <= to; first++) assert.equal(kinds[first], kind, `${first}`);
  }
  for (let type = 0; type < 256; type++) {
    const isRtcpType = type >= 192 && type <= 223;
    assert.equal(packetKind(Uint8Array.of(0x80, type), 2), isRtcpType ? "rtcp" : "rtp");
  }
  assert.equal(packetKind(new Uint8Array(0), 0), "other");
  assert.equal(packetKind(Uint8Array.of(0x80), 1), "other");
  const zrtp = Uint8Array.of(0x10, 0, 0, 1, 0x5a, 0x52, 0x54, 0x50);
  assert.deepEqual([packetKind(zrtp, 8), packetKind(zrtp, 7)], ["zrtp", "other"]);
});

suite("RFC 3550 §A.1: the numbers of a source", () => {
  test("distances wrap", () => {
    assert.deepEqual([sequenceDistance(65_535, 0), sequenceDistance(0, 65_535), sequenceDistance(5, 5)], [1, -1, 0]);
  });

  test("lost is what is missing, over the wrap, out of order and with another source", () => {
    const meter = new SequenceMeter();
    assert.equal(meter.ssrc, undefined);
    for (const sequence of [65_534, 0, 65_535, 3]) meter.handle(1, sequence, 0, 0);
    assert.deepEqual([meter.received, meter.lost, meter.highest, meter.ssrc], [4, 2, 3, 1]);
    meter.handle(2, 9_000, 0, 0);
    meter.handle(2, 9_001, 0, 0);
    assert.deepEqual([meter.received, meter.lost, meter.ssrc], [6, 2, 2]);
    meter.handle(3, 9_010, 0, 0);
    assert.equal(meter.lost, 2, "nor is another source whose numbers are near");
    meter.handle(3, 9_010 - 101, 0, 0);
    assert.equal(meter.highest, 8_909, "far behind is a new beginning");
    meter.handle(3, 8_909 - 100, 0, 0);
    assert.equal(meter.highest, 8_909, "and not so far is late");
    meter.handle(2, 9_001 + MAX_DROPOUT + 1, 0, 0);
    assert.equal(meter.lost, 1, "a leap is a new beginning, no loss");
    meter.handle(2, meter.highest, 0, 0);
    meter.handle(2, meter.highest, 0, 0);
    meter.handle(2, meter.highest, 0, 0);
    assert.equal(meter.lost, 0, "what came twice is never less than none");
  });

  test("what somebody else has seen counts as if it had come here, whatever is told first", () => {
    const meter = new SequenceMeter();
    meter.handle(1, 65_530, 0, 0);
    const { source } = meter;
    meter.handleForwarded(source, 20, 65_555, 3);
    assert.deepEqual([meter.received, meter.lost, meter.highest, meter.jitter], [21, 5, 19, 3]);
    meter.handle(1, 30, 0, 0);
    meter.handleForwarded(source, 9, 65_564, 4);
    assert.deepEqual([meter.received, meter.lost, meter.highest], [31, 6, 30]);
    meter.handle(2, 7, 0, 50);
    meter.handleForwarded(source, 2, 65_569, 9);
    assert.deepEqual([meter.received, meter.lost, meter.highest], [34, 7, 7], "of the source before");
    assert.equal(meter.jitter, 4);
    meter.handle(3, 9, 0, 50);
    meter.handleForwarded(source, 1, 99_999, 9);
    assert.deepEqual([meter.received, meter.lost], [36, 6], "of one that nobody remembers: it came, and is not missed");
  });

  test("RFC 3550 §A.8: even packets have no jitter; a steady wobble of 10 ms comes to 10", () => {
    const [even, wobbly] = [new SequenceMeter(), new SequenceMeter()];
    for (let n = 0; n < 400; n++) {
      even.handle(1, n, n * 20, 1_000 + n * 20);
      wobbly.handle(1, n, n * 20, 1_000 + n * 20 + (n % 2) * 10);
    }
    assert.equal(even.jitter, 0);
    assert.ok(Math.abs(wobbly.jitter - 10) < 0.1, `${wobbly.jitter}`);
    wobbly.handle(1, 400, -4_000_000_000, 9_000);
    assert.ok(wobbly.jitter < 11, "the wrap of the timestamp is no jitter");
  });

  test("any order of any packets: never more lost than are missing", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 90 }), { minLength: 1 }), (sequences) => {
        const meter = new SequenceMeter();
        for (const sequence of sequences) meter.handle(1, sequence, 0, 0);
        assert.ok(meter.lost <= 90 && meter.highest === Math.max(...sequences));
      }),
    );
  });
});

test("RFC 3551 §6: the static payload types", () => {
  assert.deepEqual(staticPayload(0), { name: "PCMU", clockRate: 8000, channels: 1 });
  assert.equal(staticPayload(9)?.clockRate, 8000, "G.722's old mistake");
  for (const unassigned of [1, 2, 19, 24, 35, 96, 127]) assert.equal(staticPayload(unassigned), undefined);
});
