/**
 * The client's side of the long-term credential mechanism (RFC 8489 §9.2): what a challenge asks for, how a request is
 * sealed with it, and whether an answer is.
 */
import { copyBytes } from "../../base/bytes.ts";
import { PosternError } from "../../base/failure.ts";
import type { Crypto, HmacKey } from "../../base/ports.ts";
import { choosePasswordAlgorithm, encodePasswordAlgorithms, longTermKey, userhash } from "../../stun/credentials.ts";
import { hasIntegritySha1, hasIntegritySha256 } from "../../stun/integrity.ts";
import { opaqueString } from "../../stun/opaque-string.ts";
import { Attribute, PasswordAlgorithmNumber } from "../../stun/registry.ts";
import { SecurityFeature, securityFeatures } from "../../stun/security-features.ts";
import type { StunView } from "../../stun/view.ts";
import type { StunWriter } from "../../stun/writer.ts";

/** RFC 8489 §14.3, §14.9, §14.10: user names have fewer than 509 bytes, realms and nonces fewer than 764. */
const MAX_QUOTED_BYTES = 763;

export interface ClientCredentials {
  readonly username: string;
  readonly password: string;
}

/** RFC 8489 §9.2.2: both are prepared with OpaqueString. Throws `PosternError` `bad-credentials`. */
export function prepareCredentials(username: string, password: string): ClientCredentials {
  const prepared = { username: opaqueString(username), password: opaqueString(password) };
  if (prepared.username === undefined || prepared.password === undefined) {
    const which = prepared.username === undefined ? "user name" : "password";
    throw new PosternError("bad-credentials", `The ${which} is empty or has characters that are not allowed in one.`);
  }
  return { username: prepared.username, password: prepared.password };
}

/** An answered challenge: all that sealing needs. */
export interface Challenge {
  readonly credentials: ClientCredentials;
  readonly realm: string;
  readonly nonce: string;
  /** PASSWORD-ALGORITHMS as it came, and is sent back; undefined: the server knows MD5 alone, and HMAC-SHA1. */
  readonly algorithms: Uint8Array | undefined;
  readonly algorithm: PasswordAlgorithmNumber;
  readonly key: HmacKey;
  /** Whether USERHASH stands for the name. */
  readonly hidesName: boolean;
}

export type ChallengeFault = "bad-response" | "bid-down" | "no-common-algorithm";

/** Reads REALM, NONCE and PASSWORD-ALGORITHMS of a 401 or a 438. `before`: the realm, where a 438 leaves it out. */
export function readChallenge(
  view: StunView,
  credentials: ClientCredentials,
  crypto: Crypto,
  before: string | undefined,
): Challenge | ChallengeFault {
  const realm = view.text(Attribute.Realm, MAX_QUOTED_BYTES) ?? before;
  const nonce = view.text(Attribute.Nonce, MAX_QUOTED_BYTES);
  if (realm === undefined || nonce === undefined || nonce === "") return "bad-response";
  const features = securityFeatures(nonce);
  const isNegotiated = (features & SecurityFeature.PasswordAlgorithms) !== 0;
  const offered = view.bytes(Attribute.PasswordAlgorithms);
  // RFC 8489 §9.2.5: a nonce that promises PASSWORD-ALGORITHMS without them was tampered with.
  if (isNegotiated && offered === undefined) return "bid-down";
  const algorithms = isNegotiated && offered !== undefined ? copyBytes(offered) : undefined;
  const algorithm = algorithms === undefined ? PasswordAlgorithmNumber.Md5 : choosePasswordAlgorithm(algorithms);
  if (algorithm === undefined) return "no-common-algorithm";
  const hidesName = (features & SecurityFeature.UsernameAnonymity) !== 0;
  const key = keyOf(credentials, algorithm, realm, crypto);
  return { credentials, realm, nonce, algorithms, algorithm, key, hidesName };
}

function keyOf(
  { username, password }: ClientCredentials,
  algorithm: PasswordAlgorithmNumber,
  realm: string,
  crypto: Crypto,
): HmacKey {
  return crypto.importKey(longTermKey(crypto, algorithm, username, realm, password));
}

/** The same challenge, answered with other credentials. */
export function answerAnew(challenge: Challenge, credentials: ClientCredentials, crypto: Crypto): Challenge {
  return { ...challenge, credentials, key: keyOf(credentials, challenge.algorithm, challenge.realm, crypto) };
}

/** Appends the credentials and the integrity. */
export function seal(writer: StunWriter, challenge: Challenge, crypto: Crypto): void {
  const { realm, nonce, algorithms, algorithm, key } = challenge;
  const { username } = challenge.credentials;
  // RFC 8489 §9.2.3: where the nonce offers anonymity, USERHASH stands for USERNAME.
  if (challenge.hidesName) writer.bytes(Attribute.Userhash, userhash(crypto, username, realm));
  else writer.text(Attribute.Username, username);
  writer.text(Attribute.Realm, realm).text(Attribute.Nonce, nonce);
  if (algorithms === undefined) {
    writer.integritySha1(crypto, key);
    return;
  }
  // RFC 8489 §9.2.5: the list goes back as it came, so that the server sees whether it was changed on the way.
  writer.bytes(Attribute.PasswordAlgorithms, algorithms);
  writer.bytes(Attribute.PasswordAlgorithm, encodePasswordAlgorithms([algorithm]));
  writer.integritySha256(crypto, key);
}

/** Whether a response was made by who knows the key: sealed in the way that its request was. */
export function isSealed(view: StunView, { algorithms, key }: Challenge, crypto: Crypto): boolean {
  // RFC 8489 §9.2.5: with PASSWORD-ALGORITHMS it is MESSAGE-INTEGRITY-SHA256 alone, which TURN does not truncate.
  return algorithms === undefined ? hasIntegritySha1(view, crypto, key) : hasIntegritySha256(view, crypto, key, 32);
}
