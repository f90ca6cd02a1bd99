/**
 * Who a client is. A user is known by keys that were derived when the password was set; a time-limited user name
 * carries its expiry, and its password follows from a secret shared with the application
 * (draft-uberti-behave-turn-rest-00).
 */
import { encodeBase64 } from "../../base/base64.ts";
import type { UnixSeconds } from "../../base/machine.ts";
import type { Crypto, HmacKey } from "../../base/ports.ts";
import { encodeUtf8 } from "../../base/utf8.ts";
import { longTermKey } from "../../stun/credentials.ts";
import { PasswordAlgorithmNumber } from "../../stun/registry.ts";
import type { SharedSecret } from "./config.ts";
import type { UserKeys } from "./outputs.ts";

export interface Credentials {
  readonly username: string;
  /** Whom quotas count: the part behind the expiry of a time-limited name, or the name. */
  readonly user: string;
  /** When a time-limited name ends; undefined for users. */
  readonly expiry: UnixSeconds | undefined;
  /** Which secret a time-limited password was made with. */
  readonly secret: SharedSecret | undefined;
  /** The key that was proven, and the algorithm it was derived by. */
  readonly algorithm: PasswordAlgorithmNumber;
  readonly key: HmacKey;
}

/** `<expiry in Unix seconds>` alone or with `:<user>` behind it. */
const TIME_LIMITED = /^([1-9]\d{0,9})(?::(.*))?$/s;

/** The expiry and the user in a time-limited user name; undefined when it is not one. */
export function parseTimeLimited(username: string): { expiry: UnixSeconds; user: string } | undefined {
  const match = TIME_LIMITED.exec(username);
  if (match === null) return undefined;
  return { expiry: Number(match[1]) as UnixSeconds, user: match[2] ?? username };
}

/** The password of a time-limited user name: base64 of HMAC(secret, username). */
export function timeLimitedPassword(crypto: Crypto, secret: SharedSecret, username: string): string {
  const key = crypto.importKey(secret.secret);
  const name = encodeUtf8(username);
  return encodeBase64(secret.hash === "sha256" ? crypto.hmacSha256(key, name) : crypto.hmacSha1(key, name));
}

/** One candidate for each secret: the request's integrity tells which of them it was. */
export function timeLimitedCandidates(
  crypto: Crypto,
  secrets: readonly SharedSecret[],
  username: string,
  realm: string,
  algorithm: PasswordAlgorithmNumber,
): Credentials[] {
  const parsed = parseTimeLimited(username);
  if (parsed === undefined) return [];
  return secrets.map((secret) => {
    const password = timeLimitedPassword(crypto, secret, username);
    const key = crypto.importKey(longTermKey(crypto, algorithm, username, realm, password));
    return { username, user: parsed.user, expiry: parsed.expiry, secret, algorithm, key };
  });
}

/** Users by their keys. What follows from the same keys object is made once: whoever keeps it, keeps that too. */
export class UserCandidates {
  readonly #crypto: Crypto;
  readonly #made: WeakMap<UserKeys, Credentials> = new WeakMap();

  constructor(crypto: Crypto) {
    this.#crypto = crypto;
  }

  of(keys: UserKeys, algorithm: PasswordAlgorithmNumber): Credentials {
    const made = this.#made.get(keys);
    if (made?.algorithm === algorithm) return made;
    const { username } = keys;
    const key = this.#crypto.importKey(algorithm === PasswordAlgorithmNumber.Sha256 ? keys.sha256 : keys.md5);
    const candidate = { username, user: username, expiry: undefined, secret: undefined, algorithm, key };
    this.#made.set(keys, candidate);
    return candidate;
  }
}

export function sameSecret(a: SharedSecret, b: SharedSecret): boolean {
  if (a.hash !== b.hash || a.secret.length !== b.secret.length) return false;
  return a.secret.every((byte, i) => byte === b.secret[i]);
}
