/** The nonce cookie: "obMatJos2" and 24 security feature bits in base64 in front of a nonce (RFC 8489 §9.2). */
import { decodeBase64, encodeBase64 } from "../base/base64.ts";

export const NONCE_COOKIE = "obMatJos2";

/** Length of the cookie with its four characters of feature bits. */
export const NONCE_COOKIE_LENGTH = 13;

/** RFC 8489 §18.1 with verified erratum 6290: bit 0 is the rightmost. */
export const SecurityFeature = { PasswordAlgorithms: 0x000001, UsernameAnonymity: 0x000002 } as const;

export function encodeNonceCookie(features: number): string {
  return NONCE_COOKIE + encodeBase64(Uint8Array.of(features >>> 16, features >>> 8, features));
}

/** The feature bits of `nonce`; 0 when it carries no cookie. */
export function securityFeatures(nonce: string): number {
  if (!nonce.startsWith(NONCE_COOKIE)) return 0;
  const bits = decodeBase64(nonce.slice(NONCE_COOKIE.length, NONCE_COOKIE_LENGTH));
  if (bits?.length !== 3) return 0;
  return ((bits[0] as number) << 16) | ((bits[1] as number) << 8) | (bits[2] as number);
}
