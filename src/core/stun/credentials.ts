/** Long-term credentials: keys, user hashes and the algorithms that a key is derived by (RFC 8489 §9.2, §18.5.1). */
import { readU16 } from "../base/bytes.ts";
import type { Crypto } from "../base/ports.ts";
import { encodeUtf8 } from "../base/utf8.ts";
import { PasswordAlgorithmNumber } from "./registry.ts";

/** RFC 8489 §18.5.1: the key of a user in a realm. All three strings are prepared with OpaqueString already. */
export function longTermKey(
  crypto: Crypto,
  algorithm: PasswordAlgorithmNumber,
  username: string,
  realm: string,
  password: string,
): Uint8Array {
  const input = encodeUtf8(`${username}:${realm}:${password}`);
  return algorithm === PasswordAlgorithmNumber.Sha256 ? crypto.sha256(input) : crypto.md5(input);
}

/** RFC 8489 §14.4: USERHASH is SHA-256 of user name ":" realm. */
export function userhash(crypto: Crypto, username: string, realm: string): Uint8Array {
  return crypto.sha256(encodeUtf8(`${username}:${realm}`));
}

/** The value of PASSWORD-ALGORITHMS: neither MD5 nor SHA-256 takes parameters (RFC 8489 §14.11, §18.5). */
export function encodePasswordAlgorithms(algorithms: readonly PasswordAlgorithmNumber[]): Uint8Array {
  const value = new Uint8Array(algorithms.length * 4);
  for (const [i, algorithm] of algorithms.entries()) value[i * 4 + 1] = algorithm;
  return value;
}

/** The first algorithm in a PASSWORD-ALGORITHMS value that is known here (RFC 8489 §14.11); undefined when there is none. */
export function choosePasswordAlgorithm(list: Uint8Array): PasswordAlgorithmNumber | undefined {
  for (let at = 0; at + 4 <= list.length; at += 4 + ((readU16(list, at + 2) + 3) & ~3)) {
    const known = decodePasswordAlgorithm(list.subarray(at, at + 4));
    if (known !== undefined) return known;
  }
  return undefined;
}

/** The algorithm in a PASSWORD-ALGORITHM value (RFC 8489 §14.12); undefined when it is unknown or malformed. */
export function decodePasswordAlgorithm(value: Uint8Array): PasswordAlgorithmNumber | undefined {
  if (value.length !== 4 || readU16(value, 2) !== 0) return undefined;
  const number = readU16(value, 0);
  if (number === PasswordAlgorithmNumber.Md5 || number === PasswordAlgorithmNumber.Sha256) return number;
  return undefined;
}
