/**
 * The code that one user reads to the other: where the first machine waits, and the secret that the two share. Base32 in
 * groups, without letters that are taken for digits; the check sum tells a typing error before anything is sent.
 */
import { type Address, blankAddress } from "../base/address.ts";
import { readI32, readU16, writeU16, writeU32 } from "../base/bytes.ts";

export const SECRET_BYTES = 10;

export interface RendezvousCode {
  /** The relayed address at which the first machine waits. */
  readonly address: Readonly<Address>;
  readonly secret: Uint8Array;
}

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** What is read for another character. */
const LOOKALIKES: Readonly<Record<string, string>> = { I: "1", L: "1", O: "0" };
const GROUP = 5;
const CHARACTER_BITS = 5n;
const SUM_BITS = 22n;
/** Of degree 22. One or two wrong characters are always noticed, and so are two that have changed places. */
const POLYNOMIAL = 0x676705n;
/** Nothing but zeros is no code. */
const WHITENING = 0x2aaaaan;
const ADDRESS_BYTES = { 4: 6, 6: 18 } as const;

/** Longer texts are not looked at. */
const LONGEST = 200;

function characters(family: Address["family"]): number {
  const bits = 8 * (ADDRESS_BYTES[family] + SECRET_BYTES) + Number(SUM_BITS);
  return Math.ceil(bits / Number(CHARACTER_BITS));
}

function checkSum(payload: bigint, bits: number): bigint {
  let rest = payload << SUM_BITS;
  for (let bit = BigInt(bits) - 1n; bit >= 0n; bit--) {
    if ((rest >> (bit + SUM_BITS)) & 1n) rest ^= POLYNOMIAL << bit;
  }
  return rest ^ WHITENING;
}

/** Such as `0CNHC-0VK20-…`: 30 characters for an address of IPv4, 50 for one of IPv6. */
export function formatCode({ address, secret }: RendezvousCode): string {
  const bytes = encodeAddress(address, secret);
  const payload = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  let word = (payload << SUM_BITS) | checkSum(payload, 8 * bytes.length);
  let text = "";
  for (let i = characters(address.family); i > 0; i--) {
    text = ALPHABET.charAt(Number(word & 31n)) + text;
    word >>= CHARACTER_BITS;
  }
  return (text.match(new RegExp(`.{1,${GROUP}}`, "g")) as string[]).join("-");
}

/** In any case, with any spaces and hyphens; undefined where the check sum does not fit. */
export function parseCode(text: string): RendezvousCode | undefined {
  if (text.length > LONGEST) return undefined;
  const plain = text.toUpperCase().replace(/[\s\u2010-\u2015-]/g, "");
  const family = ([4, 6] as const).find((one) => characters(one) === plain.length);
  if (family === undefined) return undefined;
  let word = 0n;
  for (const character of plain) {
    const value = ALPHABET.indexOf(LOOKALIKES[character] ?? character);
    if (value < 0) return undefined;
    word = (word << CHARACTER_BITS) | BigInt(value);
  }
  const length = ADDRESS_BYTES[family] + SECRET_BYTES;
  const payload = word >> SUM_BITS;
  const sum = word & ((1n << SUM_BITS) - 1n);
  // Bits that are left over in the first character are 0.
  if (payload >> BigInt(8 * length) !== 0n || checkSum(payload, 8 * length) !== sum) return undefined;
  return decodeAddress(family, payload, length);
}

function encodeAddress({ family, w0, w1, w2, w3, port }: Readonly<Address>, secret: Uint8Array): Uint8Array {
  const at = ADDRESS_BYTES[family];
  const bytes = new Uint8Array(at + SECRET_BYTES);
  const words = family === 4 ? [w3] : [w0, w1, w2, w3];
  for (const [i, word] of words.entries()) writeU32(bytes, 4 * i, word);
  writeU16(bytes, at - 2, port);
  bytes.set(secret, at);
  return bytes;
}

function decodeAddress(family: Address["family"], payload: bigint, length: number): RendezvousCode {
  const bytes = Uint8Array.from({ length }, (_, i) => Number((payload >> BigInt(8 * (length - 1 - i))) & 255n));
  const at = ADDRESS_BYTES[family];
  const address = { ...blankAddress(), family, port: readU16(bytes, at - 2) };
  if (family === 4) address.w3 = readI32(bytes, 0);
  else [address.w0, address.w1, address.w2, address.w3] = [0, 4, 8, 12].map((i) => readI32(bytes, i)) as Quad;
  return { address, secret: bytes.slice(at) };
}

type Quad = [number, number, number, number];
