/** FINGERPRINT (RFC 8489 §14.7): CRC-32 of the message before the attribute, xored with "STUN". */

const FINGERPRINT_XOR = 0x5354554e;

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

/** The FINGERPRINT of `data[0, end)`. The header's length already counts the attribute. */
export function fingerprint(data: Uint8Array, end: number): number {
  let c = 0xffffffff;
  for (let i = 0; i < end; i++) c = (TABLE[(c ^ (data[i] as number)) & 0xff] as number) ^ (c >>> 8);
  return (c ^ 0xffffffff ^ FINGERPRINT_XOR) >>> 0;
}
