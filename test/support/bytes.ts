/** Bytes as tests write and read them. */

/** Bytes from hexadecimal digits; white space and `# comments` are ignored. */
export function hex(text: string): Uint8Array {
  const digits = text.replace(/#.*/g, "").replace(/\s+/g, "");
  if (!/^([\da-f]{2})*$/i.test(digits)) throw new Error(`not hexadecimal: ${digits}`);
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
