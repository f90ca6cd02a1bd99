/**
 * The hashes of digest authentication (RFC 7616 §3.4, RFC 8760), and the arithmetic that client and server share. A
 * user's HA1, the hash of name, realm and password, is all that is ever known of a password.
 *
 * Text here is a binary string, one character a byte, as everywhere in SIP's core.
 */
import type { Crypto } from "../../base/ports.ts";

/** In the order in which RFC 8760 §2.4 has a server offer them: the one it likes best first. */
export const DIGEST_ALGORITHMS = ["SHA-256", "MD5"] as const;
export type DigestAlgorithm = (typeof DIGEST_ALGORITHMS)[number];

/** Of a name that a peer gave, in whatever case; undefined when it is none of ours. No name at all means MD5. */
export function parseDigestAlgorithm(name: string | undefined): DigestAlgorithm | undefined {
  const upper = name?.toUpperCase() ?? "MD5";
  return DIGEST_ALGORITHMS.find((algorithm) => algorithm === upper);
}

export interface DigestInputs {
  readonly method: string;
  /** The `uri` parameter, as it was given. */
  readonly uri: string;
  readonly nonce: string;
  /** Eight hexadecimal digits. */
  readonly nonceCount: string;
  readonly cnonce: string;
}

/** RFC 7616 §3.4.1: the `response` for quality of protection "auth", in lower-case hexadecimal. */
export function digestResponse(
  crypto: Crypto,
  algorithm: DigestAlgorithm,
  ha1: Uint8Array,
  { method, uri, nonce, nonceCount, cnonce }: DigestInputs,
): string {
  const hash = algorithm === "MD5" ? "md5" : "sha256";
  const ha2 = crypto.hashText(hash, `${method}:${uri}`);
  return crypto.hashText(hash, `${hexOf(ha1)}:${nonce}:${nonceCount}:${cnonce}:auth:${ha2}`);
}

export function digestHash(crypto: Crypto, algorithm: DigestAlgorithm, text: string): Uint8Array {
  const bytes = binaryBytes(text);
  return algorithm === "MD5" ? crypto.md5(bytes) : crypto.sha256(bytes);
}

export function binaryBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function hexOf(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += HEX[bytes[i] as number];
  return text;
}
