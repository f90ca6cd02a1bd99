/**
 * RFC 8489 Appendix B.1, a request with long-term credentials, USERHASH and MESSAGE-INTEGRITY-SHA256. As printed it does
 * not verify: verified erratum 6268 corrects its length, adds PASSWORD-ALGORITHM, and computes the HMAC anew.
 */
import { hex } from "../support/bytes.ts";

export const USERNAME = "\u30de\u30c8\u30ea\u30c3\u30af\u30b9";
export const REALM = "example.org";
export const PASSWORD = "TheMatrIX";
export const NONCE = "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA";

const middle = `
  21 12 a4 42
  78 ad 34 33 c6 ad 72 c0 29 da 41 2e
  00 1e 00 20                # USERHASH
  4a 3c f3 8f ef 69 92 bd a9 52 c6 78 04 17 da 0f 24 81 94 15 56 9e 60 b2 05 c4 6e 41 40 7f 17 04
  00 15 00 29                # NONCE
  6f 62 4d 61 74 4a 6f 73 32 41 41 41 43 66 2f 2f 34 39 39 6b 39 35 34 64 36 4f 4c 33 34 6f 4c 39 46 53 54 76 79 36 34 73
  41 00 00 00
  00 14 00 0b                # REALM
  65 78 61 6d 70 6c 65 2e 6f 72 67 00
`;

/** B.1 with erratum 6268. */
export const sampleSha256Request: Uint8Array = hex(`
  00 01 00 90
  ${middle}
  00 1d 00 04                # PASSWORD-ALGORITHM: SHA-256
  00 02 00 00
  00 1c 00 20                # MESSAGE-INTEGRITY-SHA256
  b5 c7 bf 00 5b 6c 52 a2 1c 51 c5 e8 92 f8 19 24 13 62 96 cb 92 7c 43 14 93 09 27 8c c6 51 8e 65
`);

/** B.1 as printed up to the header of its last attribute, 136 bytes of attributes where the length claims 156. */
export const printedSha256Request: Uint8Array = hex(`
  00 01 00 9c
  ${middle}
  00 1c 00 20
  e4 68 6c 8f 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
`);
