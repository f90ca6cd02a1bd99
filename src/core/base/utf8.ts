/** UTF-8 without TextEncoder, which is a host object and so not the core's to use. */

/** Whether each character is one byte, and that byte itself. */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** Encodes; a lone surrogate becomes U+FFFD. */
export function encodeUtf8(text: string): Uint8Array {
  const wellFormed = text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
  const out: number[] = [];
  for (const character of wellFormed) {
    const c = character.codePointAt(0) as number;
    if (c < 0x80) out.push(c);
    else if (c < 0x800) out.push(0xc0 | (c >> 6), 0x80 | (c & 63));
    else if (c < 0x10000) out.push(0xe0 | (c >> 12), 0x80 | ((c >> 6) & 63), 0x80 | (c & 63));
    else out.push(0xf0 | (c >> 18), 0x80 | ((c >> 12) & 63), 0x80 | ((c >> 6) & 63), 0x80 | (c & 63));
  }
  return Uint8Array.from(out);
}

/** Smallest code point that a sequence of this many bytes may encode: anything lower is overlong. */
const LOWEST = [0, 0, 0x80, 0x800, 0x10000] as const;

function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead < 0xc0) return 0;
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  return lead < 0xf8 ? 4 : 0;
}

function areAscii(bytes: Uint8Array, at: number): boolean {
  let all = 0;
  for (let i = at; i < at + 8; i++) all |= bytes[i] as number;
  return all < 0x80;
}

function eightCharacters(b: Uint8Array, at: number): string {
  const [c0, c1, c2, c3] = [b[at], b[at + 1], b[at + 2], b[at + 3]] as [number, number, number, number];
  const [c4, c5, c6, c7] = [b[at + 4], b[at + 5], b[at + 6], b[at + 7]] as [number, number, number, number];
  return String.fromCharCode(c0, c1, c2, c3, c4, c5, c6, c7);
}

/** Decodes strictly; undefined for overlong forms, surrogates, truncation and anything else that is not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  let text = "";
  let i = 0;
  // Names, realms and nonces are ASCII, nearly always: eight at a time make fewer strings.
  for (; i + 8 <= bytes.length && areAscii(bytes, i); i += 8) text += eightCharacters(bytes, i);
  while (i < bytes.length) {
    const lead = bytes[i] as number;
    const length = sequenceLength(lead);
    if (length === 0 || i + length > bytes.length) return undefined;
    let c = length === 1 ? lead : lead & (0x7f >> length);
    for (let k = 1; k < length; k++) {
      const next = bytes[i + k] as number;
      if (next >> 6 !== 2) return undefined;
      c = (c << 6) | (next & 63);
    }
    if (c < (LOWEST[length] as number) || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) return undefined;
    text += String.fromCodePoint(c);
    i += length;
  }
  return text;
}
