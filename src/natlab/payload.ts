/** Finding and replacing addresses in payloads, as middleboxes do it: wherever the bytes or the digits stand. */
import { type Address, formatIp } from "../core/base/address.ts";
import { concatBytes, writeU16, writeU32 } from "../core/base/bytes.ts";
import { encodeUtf8 } from "../core/base/utf8.ts";

const [DOT, ZERO, NINE] = [0x2e, 0x30, 0x39];

/** Where `needle` first stands in `bytes` at `from` or later; -1 when it does not. */
export function indexOfBytes(bytes: Uint8Array, needle: Uint8Array, from: number): number {
  const last = bytes.length - needle.length;
  for (let at = bytes.indexOf(needle[0] as number, from); at >= 0 && at <= last; ) {
    let n = 1;
    while (n < needle.length && bytes[at + n] === needle[n]) n++;
    if (n === needle.length) return at;
    at = bytes.indexOf(needle[0] as number, at + 1);
  }
  return -1;
}

function isNumeric(byte: number | undefined): boolean {
  return byte !== undefined && (byte === DOT || (byte >= ZERO && byte <= NINE));
}

function isDigit(byte: number | undefined): boolean {
  return byte !== DOT && isNumeric(byte);
}

/** Whether the digits in `bytes[from, to)` are not part of a longer number. A dot behind them ends a sentence. */
function isWholeNumber(bytes: Uint8Array, from: number, to: number): boolean {
  return !isNumeric(bytes[from - 1]) && !isDigit(bytes[to]) && !(bytes[to] === DOT && isDigit(bytes[to + 1]));
}

function replaceAll(bytes: Uint8Array, needle: Uint8Array, by: Uint8Array, isText: boolean): Uint8Array {
  const parts: Uint8Array[] = [];
  let kept = 0;
  for (let at = indexOfBytes(bytes, needle, 0); at >= 0; at = indexOfBytes(bytes, needle, at + 1)) {
    const end = at + needle.length;
    if (at < kept || (isText && !isWholeNumber(bytes, at, end))) continue;
    parts.push(bytes.subarray(kept, at), by);
    kept = end;
  }
  return kept === 0 ? bytes : concatBytes(...parts, bytes.subarray(kept));
}

function binary(address: Readonly<Address>): Uint8Array {
  const bytes = new Uint8Array(6);
  writeU16(bytes, 0, address.port);
  writeU32(bytes, 2, address.w3);
  return bytes;
}

/**
 * `payload` with the IPv4 address `from` replaced by `to`, as four bytes or in dotted decimal; its port is replaced too
 * where it stands in front of the bytes, or behind a colon. The same bytes when there is nothing to replace.
 */
export function replaceAddress(payload: Uint8Array, from: Readonly<Address>, to: Readonly<Address>): Uint8Array {
  const [fromText, toText] = [formatIp(from), formatIp(to)];
  const [fromBytes, toBytes] = [binary(from), binary(to)];
  let out = payload;
  out = replaceAll(out, encodeUtf8(`${fromText}:${from.port}`), encodeUtf8(`${toText}:${to.port}`), true);
  out = replaceAll(out, encodeUtf8(fromText), encodeUtf8(toText), true);
  out = replaceAll(out, fromBytes, toBytes, false);
  return replaceAll(out, fromBytes.subarray(2), toBytes.subarray(2), false);
}
