/**
 * The milliwatt: 1,004 Hz at 0 dBm0, the tone by which lines are measured (ITU-T O.6 has 1,004 Hz because 1,000 Hz would
 * meet the same few samples again and again). Half a second of it is a whole number of waves and of packets.
 */
import { encodeAlaw, encodeMulaw } from "../../rtp/g711.ts";

const FREQUENCY = 1_004;
const RATE = 8_000;
/** Of a packet of 20 ms. */
export const TONE_SAMPLES = 160;
/** Half a second. */
const FRAMES = 25;
/** ITU-T G.711: the largest sine has 3.17 dBm0 by the µ-law, and 3.14 by the A-law. */
const MULAW_AMPLITUDE = 32_636 / 10 ** (3.17 / 20);
const ALAW_AMPLITUDE = 32_768 / 10 ** (3.14 / 20);

/** Packets' payloads, one after the other and from the beginning again. */
export type ToneFrames = readonly Uint8Array[];

const tones: ReadonlyMap<string, ToneFrames> = new Map([
  ["PCMU", framesOf(MULAW_AMPLITUDE, encodeMulaw)],
  ["PCMA", framesOf(ALAW_AMPLITUDE, encodeAlaw)],
]);

/** By the name of its codec, in upper case; undefined where it is not made in that. */
export function toneIn(codec: string): ToneFrames | undefined {
  return tones.get(codec);
}

function framesOf(amplitude: number, encode: (sample: number) => number): ToneFrames {
  const sample = (at: number): number => Math.round(amplitude * Math.sin((2 * Math.PI * FREQUENCY * at) / RATE));
  return Array.from({ length: FRAMES }, (_, frame) =>
    Uint8Array.from({ length: TONE_SAMPLES }, (_, i) => encode(sample(frame * TONE_SAMPLES + i))),
  );
}
