import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { toneIn } from "../../../../src/core/edge/services/tone.ts";
import { decodeAlaw, decodeMulaw, levelOf } from "../../rtp/g711.ts";

/** How much of one frequency there is, as a part of all. */
function shareOf(samples: readonly number[], frequency: number): number {
  let [real, imaginary] = [0, 0];
  for (const [i, sample] of samples.entries()) {
    real += sample * Math.cos((2 * Math.PI * frequency * i) / 8000);
    imaginary += sample * Math.sin((2 * Math.PI * frequency * i) / 8000);
  }
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0);
  return (2 * (real * real + imaginary * imaginary)) / samples.length / power;
}

suite("the milliwatt's tone", () => {
  for (const [codec, decode, reference] of [
    ["PCMU", decodeMulaw, [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e]],
    ["PCMA", decodeAlaw, [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4]],
  ] as const) {
    test(`has 1,004 Hz and 0 dBm0 in ${codec}, and goes on without a break when it begins again`, () => {
      const frames = toneIn(codec);
      assert.ok(frames);
      assert.ok(frames.every(({ length }) => length === 160));
      const samples = frames.flatMap((frame) => [...frame].map(decode));
      assert.ok(shareOf([...samples, ...samples], 1004) > 0.999, `${shareOf(samples, 1004)}`);
      const zero = levelOf(reference.map(decode));
      assert.ok(Math.abs(levelOf(samples) - zero) < 0.05, `${levelOf(samples) - zero} dB`);
    });
  }

  test("is made in no other codec", () => {
    assert.equal(toneIn("G722"), undefined);
  });
});
