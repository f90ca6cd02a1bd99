/** RTP and RTCP: nothing is read beyond the packet's end, and no packet is both. */
import assert from "node:assert/strict";
import { packetKind } from "../../src/core/rtp/demultiplex.ts";
import { isRtp, paddingOf, rtpHeaderLength, sequenceOf, ssrcOf } from "../../src/core/rtp/header.ts";
import { isRtcp, nextRtcp, rtcpSenderOf } from "../../src/core/rtp/rtcp.ts";
import { SequenceMeter } from "../../src/core/rtp/sequence.ts";
import { rtcp, rtp } from "../core/rtp/packets.ts";
import type { Target } from "./target.ts";

const meter = new SequenceMeter();

export const mediaTarget: Target = {
  name: "media",
  seeds: [
    rtp({ payload: 20 }),
    rtp({ payload: 4, sources: 3, extension: 2, padding: 4 }),
    rtcp(),
    new Uint8Array([...rtcp(1, 200), ...rtcp(1, 202, [1, 2, 3, 4])]),
    Uint8Array.of(0x10, 0, 0, 1, 0x5a, 0x52, 0x54, 0x50),
    Uint8Array.of(22, 254, 253, 0, 0),
    Uint8Array.of(0, 1, 0, 0),
  ],
  run(input: Uint8Array): boolean {
    // What lies behind the packet in its buffer says nothing about it.
    const [zeros, ones] = [0x00, 0xff].map((fill) => {
      const data = new Uint8Array(input.length + 64).fill(fill);
      data.set(input);
      return data;
    }) as [Uint8Array, Uint8Array];
    const said = [zeros, ones].map((data) => [
      packetKind(data, input.length),
      isRtp(data, input.length),
      isRtcp(data, input.length),
      isRtp(data, input.length) && rtpHeaderLength(data, input.length),
      isRtp(data, input.length) && paddingOf(data, input.length),
    ]);
    assert.deepEqual(said[0], said[1]);
    const kind = packetKind(input, input.length);
    if (isRtcp(input, input.length)) {
      assert.equal(kind, "rtcp");
      for (let at = 0; at < input.length; at = nextRtcp(input, input.length, at)) assert.ok(at >= 0);
      assert.ok(rtcpSenderOf(input) >= 0);
    }
    if (!isRtp(input, input.length)) return kind !== "other" && kind !== "rtp";
    meter.handle(ssrcOf(input) & 1, sequenceOf(input), 0, 0);
    assert.ok(meter.highest >= 0 && meter.lost >= 0 && meter.jitter >= 0);
    return true;
  },
  decode(input: Uint8Array): void {
    packetKind(input, input.length);
    if (isRtp(input, input.length)) paddingOf(input, input.length);
    isRtcp(input, input.length);
  },
};
