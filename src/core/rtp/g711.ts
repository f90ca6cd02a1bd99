/** ITU-T G.711: sound in eight bits a sample, PCMU and PCMA of RFC 3551 §4.5.14. Samples are 16 bits, signed. */

/** What is added so that every segment begins at a power of two. */
const MULAW_BIAS = 132;
const MULAW_LARGEST = 32_635;

export function encodeMulaw(sample: number): number {
  const magnitude = Math.min(Math.abs(sample), MULAW_LARGEST) + MULAW_BIAS;
  const segment = 24 - Math.clz32(magnitude);
  const step = (magnitude >> (segment + 3)) & 0x0f;
  return ~((sample < 0 ? 0x80 : 0) | (segment << 4) | step) & 0xff;
}

export function encodeAlaw(sample: number): number {
  const isNegative = sample < 0;
  const magnitude = Math.min((isNegative ? ~sample : sample) >> 3, 0x0fff);
  const segment = Math.max(0, 27 - Math.clz32(magnitude));
  const step = (magnitude >> Math.max(1, segment)) & 0x0f;
  return ((segment << 4) | step) ^ (isNegative ? 0x55 : 0xd5);
}
