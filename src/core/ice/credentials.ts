/** User name fragments and passwords (RFC 8445 §5.3), which seal checks by the short-term mechanism (RFC 8489 §9.1). */
import { encodeBase64 } from "../base/base64.ts";
import { PosternError } from "../base/failure.ts";
import type { HmacKey, Ports } from "../base/ports.ts";
import { encodeUtf8 } from "../base/utf8.ts";

export interface IceCredentials {
  /** 4 to 256 characters of A-Z, a-z, 0-9, + and /. */
  readonly ufrag: string;
  /** 22 to 256 of the same. */
  readonly password: string;
}

export interface KeyedCredentials extends IceCredentials {
  readonly key: HmacKey;
}

const UFRAG = /^[A-Za-z0-9+/]{4,256}$/;
const PASSWORD = /^[A-Za-z0-9+/]{22,256}$/;

export function isUfrag(text: string): boolean {
  return UFRAG.test(text);
}

export function isPassword(text: string): boolean {
  return PASSWORD.test(text);
}

/** RFC 8445 §5.3: at least 24 bits of randomness in the fragment, and 128 in the password. */
export function freshCredentials({ random, crypto }: Ports): KeyedCredentials {
  const ufrag = encodeBase64(random.bytes(6));
  const password = encodeBase64(random.bytes(18));
  return keyed({ ufrag, password }, crypto.importKey);
}

/** Throws `PosternError` `bad-ice-credentials`. */
export function keyed({ ufrag, password }: IceCredentials, importKey: Ports["crypto"]["importKey"]): KeyedCredentials {
  if (!isUfrag(ufrag) || !isPassword(password)) {
    const why = "An ice-ufrag has 4 to 256, an ice-pwd 22 to 256 letters, digits, + and /.";
    throw new PosternError("bad-ice-credentials", why);
  }
  return { ufrag, password, key: importKey(encodeUtf8(password)) };
}
