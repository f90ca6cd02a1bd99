/** Reading and writing integers in network order, without a DataView per packet. Bounds are the caller's. */

export function readU16(b: Uint8Array, at: number): number {
  return ((b[at] as number) << 8) | (b[at + 1] as number);
}

export function readU32(b: Uint8Array, at: number): number {
  return readI32(b, at) >>> 0;
}

/** Of the same bits a signed integer, as the words of an `Address` are. */
export function readI32(b: Uint8Array, at: number): number {
  return (readU16(b, at) << 16) | readU16(b, at + 2);
}

export function writeU16(b: Uint8Array, at: number, value: number): void {
  b[at] = value >>> 8;
  b[at + 1] = value;
}

export function writeU32(b: Uint8Array, at: number, value: number): void {
  writeU16(b, at, value >>> 16);
  writeU16(b, at + 2, value & 0xffff);
}

/** Compares without an early exit. Lengths are public. */
export function equalConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}

/**
 * A copy of `bytes[from, to)`. What the shell lends may be a Buffer, whose `slice` is a view of the lent bytes and no
 * copy.
 */
export function copyBytes(bytes: Uint8Array, from = 0, to: number = bytes.length): Uint8Array {
  const copy = new Uint8Array(to - from);
  copy.set(bytes.subarray(from, to));
  return copy;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
