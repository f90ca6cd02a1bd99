/**
 * What two ends that exchange a text say: parts of it, which parts have come, and that one is not wanted. Frames are sealed
 * by whoever carries them, so that what is read here is the other end's, or a repetition of it.
 */
import { concatBytes, readU32, writeU32 } from "../base/bytes.ts";

export const ID_BYTES = 8;
export const PART_BYTES = 1_000;
export const MOST_PARTS = 16;
/** The longest frame: a part with its head. */
export const FRAME_BYTES: number = 1 + ID_BYTES + 2 + PART_BYTES;

/** Of the end that sends it, drawn anew for each exchange; as hexadecimal digits. */
export type EndId = string;

export type Frame =
  | {
      readonly kind: "part";
      readonly from: EndId;
      readonly index: number;
      readonly count: number;
      readonly data: Uint8Array;
    }
  /** `parts`: a bit for each that has come, the first one the lowest. */
  | { readonly kind: "ack"; readonly from: EndId; readonly to: EndId; readonly parts: number }
  | { readonly kind: "refuse"; readonly from: EndId; readonly to: EndId };

const KINDS = { part: 1, ack: 2, refuse: 3 } as const;

export function encodeFrame(frame: Frame): Uint8Array {
  const head = [Uint8Array.of(KINDS[frame.kind]), parseId(frame.from)];
  if (frame.kind === "part") return concatBytes(...head, Uint8Array.of(frame.index, frame.count), frame.data);
  if (frame.kind === "refuse") return concatBytes(...head, parseId(frame.to));
  const parts = new Uint8Array(4);
  writeU32(parts, 0, frame.parts);
  return concatBytes(...head, parseId(frame.to), parts);
}

/** Undefined for anything else. */
export function decodeFrame(bytes: Uint8Array): Frame | undefined {
  const at = 1 + ID_BYTES;
  if (bytes.length < at + 2 || bytes.length > FRAME_BYTES) return undefined;
  const from = formatId(bytes.subarray(1, at));
  if (bytes[0] === KINDS.part) {
    const [index, count] = [bytes[at] as number, bytes[at + 1] as number];
    const isOne = index < count && count <= MOST_PARTS;
    return isOne ? { kind: "part", from, index, count, data: bytes.slice(at + 2) } : undefined;
  }
  const to = formatId(bytes.subarray(at, at + ID_BYTES));
  if (bytes[0] === KINDS.refuse && bytes.length === at + ID_BYTES) return { kind: "refuse", from, to };
  if (bytes[0] !== KINDS.ack || bytes.length !== at + ID_BYTES + 4) return undefined;
  return { kind: "ack", from, to, parts: readU32(bytes, at + ID_BYTES) };
}

export function formatId(bytes: Uint8Array): EndId {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function parseId(id: EndId): Uint8Array {
  return Uint8Array.from({ length: ID_BYTES }, (_, i) => Number.parseInt(id.slice(2 * i, 2 * i + 2), 16));
}
