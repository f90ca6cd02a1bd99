/**
 * A description as one line to be pasted: letters, digits, `-` and `_` alone, so that no chat or mail changes it. It says
 * how long it is and has a check sum, so that a part of it, and a slip, are told from the whole.
 */
import { crc32, deflateRawSync, inflateRawSync } from "node:zlib";

/** What every line begins with; the digit is that of the form. */
const MARK = "postern1";
/** Two bytes of length, four of check sum. */
const HEAD_BYTES = 6;
const LONGEST_TEXT = 16_000;
/** What descriptions are made of, so that short ones are made shorter. */
const dictionary = Buffer.from(
  "tcp relay prflx 2001:db8:: 192.168. 172.16. 10.0.0.0 raddr rport 0a=candidate:1 1 udp 2130706431 typ host\r\n" +
    "a=candidate:2 1 udp 1694498815 typ srflx raddr 0.0.0.0 rport 0\r\na=ice-ufrag:\r\na=ice-pwd:\r\n" +
    "a=ice-options:ice2 trickle\r\na=end-of-candidates\r\n",
);

export function formatLine(text: string): string {
  const packed = deflateRawSync(text, { dictionary, level: 9 });
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt16BE(packed.length, 0);
  head.writeUInt32BE(crc32(packed), 2);
  return MARK + Buffer.concat([head, packed]).toString("base64url");
}

/** `part`: more is to come; `none`: there is no line in it; `mistyped`: one that is not as it was printed. */
export type ReadLine =
  | { readonly kind: "whole"; readonly text: string }
  | { readonly kind: "part" | "none" | "mistyped" };

/** Reads what was pasted: also with line breaks, spaces and quotes in it, and with words before it. */
export function readLine(pasted: string): ReadLine {
  const from = pasted.lastIndexOf(MARK);
  if (from < 0) return { kind: "none" };
  const bytes = Buffer.from(pasted.slice(from + MARK.length).replace(/[^\w-]/g, ""), "base64url");
  if (bytes.length < HEAD_BYTES) return { kind: "part" };
  const end = HEAD_BYTES + bytes.readUInt16BE(0);
  if (bytes.length < end) return { kind: "part" };
  const packed = bytes.subarray(HEAD_BYTES, end);
  if (crc32(packed) !== bytes.readUInt32BE(2)) return { kind: "mistyped" };
  try {
    return { kind: "whole", text: inflateRawSync(packed, { dictionary, maxOutputLength: LONGEST_TEXT }).toString() };
  } catch {
    return { kind: "mistyped" };
  }
}
