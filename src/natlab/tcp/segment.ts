/** The header of a TCP segment (RFC 9293 §3.1) as a plain value, and arithmetic on its numbers. */

/** RFC 9293 §3.1: the control bits, where they stand in the header. */
export const Flag = { Fin: 1, Syn: 2, Rst: 4, Psh: 8, Ack: 16 } as const;

export interface Segment {
  /** Of its first byte, or of its SYN. */
  readonly sequence: number;
  /** The next byte that its sender expects; means nothing without `Flag.Ack`. */
  readonly acknowledgment: number;
  /** Of `Flag`, together. */
  readonly flags: number;
  readonly window: number;
  /** Of a SYN: the most bytes of data that its sender takes in one segment. */
  readonly mss: number | undefined;
}

const [HEADER, MSS_OPTION] = [20, 4];

/** Whether any of these flags is set. */
export function has(segment: Segment, flag: number): boolean {
  return (segment.flags & flag) !== 0;
}

/** A SYN that answers no other: somebody wants a connection. */
export function isOpening(segment: Segment): boolean {
  return (segment.flags & (Flag.Syn | Flag.Ack | Flag.Rst)) === Flag.Syn;
}

export function segmentHeaderLength(segment: Segment): number {
  return segment.mss === undefined ? HEADER : HEADER + MSS_OPTION;
}

/** RFC 9293 §3.4: how many sequence numbers it takes; SYN and FIN take one each. */
export function sequenceLength(segment: Segment, payload: Uint8Array): number {
  return payload.length + (has(segment, Flag.Syn) ? 1 : 0) + (has(segment, Flag.Fin) ? 1 : 0);
}

/** RFC 9293 §3.4: sequence numbers are compared modulo 2^32. */
export function isBefore(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

export function advance(sequence: number, by: number): number {
  return (sequence + by) >>> 0;
}

/** How far `to` lies behind `from`; negative when it lies before. */
export function distance(from: number, to: number): number {
  return (to - from) | 0;
}
