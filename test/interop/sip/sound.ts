/** Tones as phones send them, and what is in a recording: G.711's 8,000 samples a second, one channel, 16 bits. */

export const samplesPerSecond = 8_000;
/** A quarter of full scale: far from clipping, far above the noise of G.711. */
const amplitude = 8_192;
const headerBytes = 44;

/** A WAV file of a sine. */
export function tone(hertz: number, seconds: number): Buffer {
  const samples = Buffer.alloc(2 * seconds * samplesPerSecond);
  for (let i = 0; i < samples.length / 2; i++) {
    samples.writeInt16LE(Math.round(amplitude * Math.sin((2 * Math.PI * hertz * i) / samplesPerSecond)), 2 * i);
  }
  return Buffer.concat([header(samples.length), samples]);
}

function header(bytes: number): Buffer {
  const text = Buffer.alloc(headerBytes);
  text.write("RIFF", 0);
  text.writeUInt32LE(headerBytes - 8 + bytes, 4);
  text.write("WAVEfmt ", 8);
  text.writeUInt32LE(16, 16);
  text.writeUInt16LE(1, 20); // PCM
  text.writeUInt16LE(1, 22);
  text.writeUInt32LE(samplesPerSecond, 24);
  text.writeUInt32LE(2 * samplesPerSecond, 28);
  text.writeUInt16LE(2, 32);
  text.writeUInt16LE(16, 34);
  text.write("data", 36);
  text.writeUInt32LE(bytes, 40);
  return text;
}

/** The samples of a WAV file, whose lengths may not be written yet: it is still recorded. */
export function samplesOf(file: Buffer): Int16Array {
  const at = file.indexOf("data");
  if (at < 0) return new Int16Array();
  const count = Math.floor((file.length - at - 8) / 2);
  return Int16Array.from({ length: Math.max(0, count) }, (_, i) => file.readInt16LE(at + 8 + 2 * i));
}

/** What is heard in a tenth of a second. */
export interface Moment {
  /** Shares of the power, 0 to 1, at each frequency that was asked for. */
  readonly shares: readonly number[];
  /** Of a sine of full scale, 1. */
  readonly loudness: number;
}

const window = samplesPerSecond / 10;

/**
 * Goertzel's algorithm over each tenth of a second: every multiple of 10 Hz fits into it, so that none leaks into
 * another.
 */
export function listen(samples: Int16Array, frequencies: readonly number[]): Moment[] {
  const moments: Moment[] = [];
  for (let from = 0; from + window <= samples.length; from += window) {
    const part = samples.subarray(from, from + window);
    const total = part.reduce((sum, sample) => sum + sample * sample, 0);
    moments.push({
      shares: frequencies.map((hertz) => (total === 0 ? 0 : power(part, hertz) / total)),
      loudness: Math.sqrt((2 * total) / window) / 32_768,
    });
  }
  return moments;
}

/** The part of the sum of squares that a sine of this frequency makes. */
function power(samples: Int16Array, hertz: number): number {
  const turn = 2 * Math.cos((2 * Math.PI * hertz) / samplesPerSecond);
  let [last, before] = [0, 0];
  for (const sample of samples) [last, before] = [sample + turn * last - before, last];
  return (2 * (last * last + before * before - turn * last * before)) / samples.length;
}
