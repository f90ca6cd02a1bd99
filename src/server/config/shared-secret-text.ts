/** A shared secret as text: `sha256:` in front says how passwords are made with it, else it is SHA-1 as everywhere. */
import { Secret } from "../../node/secret.ts";

export interface SharedSecretText {
  readonly hash: "sha1" | "sha256";
  readonly secret: Secret;
}

/** Shorter ones can be guessed from one password that was handed out. */
const leastCharacters = 16;

/** What a shared secret must be; completes "must be …". */
export const sharedSecretRule: string = `${leastCharacters} characters or more, with sha1: or sha256: in front or nothing`;

/** Parses `secret`, `sha1:secret` or `sha256:secret`; undefined when it is too short. */
export function parseSharedSecret(text: string): SharedSecretText | undefined {
  const match = /^(?:(sha1|sha256):)?(.*)$/s.exec(text);
  const secret = match?.[2] ?? "";
  if (secret.length < leastCharacters) return undefined;
  return { hash: (match?.[1] ?? "sha1") as SharedSecretText["hash"], secret: new Secret(secret) };
}
