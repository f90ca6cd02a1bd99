/** Streams of probes over a path of the test's own making, on a virtual clock. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Instant } from "../../../src/core/base/machine.ts";
import { Outages } from "../../../src/core/media/outages.ts";
import { type EchoFigures, ProbeStream } from "../../../src/core/media/probe-stream.ts";
import { TransitMeter } from "../../../src/core/media/transit-meter.ts";
import { decodeVoicePacket, encodeVoicePacket } from "../../../src/core/media/voice-packet.ts";

/** Milliseconds each way, by probe; undefined: lost there. */
type Path = (sequence: number) => { readonly there: number | undefined; readonly back: number | undefined };

interface Run {
  readonly figures: EchoFigures;
  readonly sentAt: readonly number[];
  readonly settled: readonly (number | undefined)[];
  readonly doneAt: number | undefined;
}

function run(
  path: Path,
  packets: number,
  end = 60_000,
  hold: { at: number; until: number } = { at: 0, until: 0 },
): Run {
  const stream = new ProbeStream({ packets, interval: 20, patience: 1_000 });
  const arrivals: { at: number; arrive: (now: Instant) => void }[] = [];
  const sentAt: number[] = [];
  const settled: (number | undefined)[] = [];
  let [now, doneAt]: [number, number | undefined] = [0, undefined];
  const drain = (): void => {
    for (let output = stream.pollOutput(); output !== undefined; output = stream.pollOutput()) {
      if (output.kind === "settled") settled.push(output.roundTrip);
      else if (output.kind === "done") {
        assert.equal(doneAt, undefined, "done once");
        doneAt = now;
      } else {
        const { sequence } = output;
        sentAt.push(now);
        const { there, back } = path(sequence);
        if (there === undefined) continue;
        arrivals.push({ at: now + there, arrive: (at) => stream.handleTurned(sequence, at) });
        if (back !== undefined) {
          arrivals.push({ at: now + there + back, arrive: (at) => stream.handleBack(sequence, at) });
        }
      }
    }
  };
  stream.start(0 as Instant);
  drain();
  for (;;) {
    arrivals.sort((a, b) => a.at - b.at);
    const next = Math.min(
      arrivals[0]?.at ?? Number.POSITIVE_INFINITY,
      stream.pollTimeout() ?? Number.POSITIVE_INFINITY,
    );
    if (next > end) break;
    now = next >= hold.at && next < hold.until ? hold.until : Math.max(now, next);
    if (arrivals[0] !== undefined && arrivals[0].at <= now) arrivals.shift()!.arrive(now as Instant);
    else stream.handleTimeout(now as Instant);
    drain();
  }
  // A call too many does nothing.
  stream.handleTimeout(now as Instant);
  drain();
  return { figures: stream.take(), sentAt, settled, doneAt };
}

describe("a stream of probes", () => {
  test("an even path: every packet 20 ms after the last, the same round trip, no jitter, nothing lost", () => {
    const { figures, sentAt, doneAt } = run(() => ({ there: 30, back: 12 }), 50);
    assert.deepEqual(
      sentAt,
      Array.from({ length: 50 }, (_, i) => i * 20),
    );
    const even = (ms: number) => ({ min: ms, median: ms, p95: ms, max: ms, jitter: 0, worstJitter: 0 });
    assert.deepEqual(figures, {
      ...{ sent: 50, lost: 0, reordered: 0, roundTrip: even(42) },
      there: { lost: 0, transit: even(30) },
      back: { lost: 0, transit: even(12) },
    });
    assert.equal(doneAt, 49 * 20 + 42);
  });

  test("what is lost is told for each way, and what comes too late is lost", () => {
    const path: Path = (i) =>
      i % 10 === 0 ? { there: undefined, back: 0 } : { there: 10, back: i % 25 === 1 ? undefined : 10 };
    const { figures, settled } = run(path, 100);
    assert.deepEqual([figures.sent, figures.lost, figures.there.lost, figures.back.lost], [100, 14, 10, 4]);
    assert.deepEqual(settled.flatMap((roundTrip, i) => (roundTrip === undefined ? [i] : [])).slice(0, 3), [0, 1, 10]);
    const late = run((i) => ({ there: 500, back: i === 3 ? 501 : 499 }), 10);
    assert.deepEqual([late.figures.lost, late.figures.roundTrip?.max], [1, 999]);
    assert.equal(run(() => ({ there: undefined, back: 0 }), 5).figures.roundTrip, undefined);
  });

  test("RFC 3550 §6.4.1: jitter is the change from packet to packet, and its estimate follows by a sixteenth", () => {
    const { figures } = run((i) => ({ there: 20, back: i % 2 === 0 ? 10 : 26 }), 200);
    assert.ok(Math.abs(figures.roundTrip!.jitter - 16) < 1e-9);
    assert.ok(figures.roundTrip!.worstJitter > 15.9 && figures.roundTrip!.worstJitter < 16);
    assert.equal(figures.there.transit!.jitter, 0);
    const meter = new TransitMeter();
    for (const transit of [100, 116, 100]) meter.add(transit);
    assert.deepEqual(meter.take(), { min: 100, median: 100, p95: 116, max: 116, jitter: 16, worstJitter: 1.9375 });
    assert.equal(meter.take(), undefined);
  });

  test("packets that overtake each other are counted, and settle in the order of sending", () => {
    const { figures, settled } = run((i) => ({ there: 10, back: i === 4 ? 60 : 10 }), 10);
    assert.equal(figures.reordered, 1);
    assert.deepEqual(settled.slice(3, 6), [20, 70, 20]);
  });

  test("quantiles are of what came back", () => {
    const { figures } = run((i) => ({ there: 1, back: i }), 100);
    assert.deepEqual([figures.roundTrip?.min, figures.roundTrip?.median, figures.roundTrip?.p95], [1, 50, 95]);
  });

  test("a process that was held up sends no burst", () => {
    const { sentAt } = run(() => ({ there: 1, back: 1 }), 60, 60_000, { at: 100, until: 400 });
    const gaps = sentAt.slice(1).map((at, i) => at - (sentAt[i] as number));
    assert.equal(Math.max(...gaps), 320);
    assert.equal(Math.min(...gaps), 10);
    assert.equal(sentAt.length, 60);
  });

  test("a stream without an end gives the figures of each round apart", () => {
    const stream = new ProbeStream({ packets: Number.POSITIVE_INFINITY, interval: 500, patience: 1_000 });
    stream.start(0 as Instant);
    stream.handleBack(0, 40 as Instant);
    assert.deepEqual(
      [stream.take()].map(({ sent, roundTrip }) => [sent, roundTrip?.max]),
      [[1, 40]],
    );
    for (const now of [500, 1_000, 1_500]) stream.handleTimeout(now as Instant);
    const { sent, lost, roundTrip } = stream.take();
    assert.deepEqual([sent, lost, roundTrip], [1, 1, undefined]);
    stream.handleBack(0, 1_501 as Instant);
    stream.handleBack(1, 1_501 as Instant);
    assert.equal(stream.take().sent, 0, "what is settled stays so");
  });
});

test("an outage is three in a row; it begins with the first that is lost, and ends when one is back", () => {
  const outages = new Outages();
  const settle = (sentAt: number, roundTrip: number | undefined) => outages.handleSettled(sentAt as Instant, roundTrip);
  settle(0, 10);
  settle(500, undefined);
  settle(1_000, undefined);
  settle(1_500, 10);
  assert.deepEqual(outages.all, []);
  for (const at of [2_000, 2_500, 3_000, 3_500]) settle(at, undefined);
  assert.equal(outages.isOut, true);
  assert.deepEqual(outages.all, [{ from: 2_000, until: undefined }]);
  settle(4_000, 30);
  assert.equal(outages.isOut, false);
  assert.deepEqual(outages.all, [{ from: 2_000, until: 4_030 }]);
});

test("RFC 3550 §5.1: a voice packet is RTP of G.711, and is known again by its source", () => {
  for (const sequence of [0, 1, 70_000, 26_843_545, 26_843_546, 2 ** 27 + 1, 2 ** 40 + 7]) {
    const data = encodeVoicePacket(0x89abcdef, sequence);
    assert.equal(data.length, 172);
    assert.deepEqual([data[0], data[1]], [0x80, 0]);
    for (const later of [0, 1, 50, 1_000_000]) {
      assert.equal(decodeVoicePacket(0x89abcdef, data, sequence + later), sequence, `${sequence}, ${later} later`);
    }
    assert.equal(decodeVoicePacket(0x89abcdee, data, sequence), undefined);
    assert.equal(decodeVoicePacket(0x89abcdef, data.subarray(1), sequence), undefined);
  }
  const early = encodeVoicePacket(0x89abcdef, 5);
  assert.equal(decodeVoicePacket(0x89abcdef, early, 4), undefined, "it was not sent yet");
});
