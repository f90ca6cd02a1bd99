/** Credentials that an application hands to its users: made from a shared secret, good until the time in their name. */
import type { UnixSeconds } from "../core/base/machine.ts";
import type { SharedSecret } from "../core/turn/server/config.ts";
import { timeLimitedPassword } from "../core/turn/server/credentials.ts";
import { nodeCrypto } from "../node/crypto.ts";

export interface TimeLimitedCredentials {
  /** `<expiry>` or `<expiry>:<user>`. */
  readonly username: string;
  readonly credential: string;
  readonly expiry: UnixSeconds;
}

/** Printable, without the separator, and short enough for a USERNAME with the expiry in front (RFC 8489 §14.3). */
const USER = /^[^\p{C}:]{1,128}$/u;

export function isUser(text: string): boolean {
  return USER.test(text);
}

/** `ttl`: in seconds. */
export function makeCredentials(
  secret: SharedSecret,
  { user, ttl, now }: { user?: string | undefined; ttl: number; now: UnixSeconds },
): TimeLimitedCredentials {
  const expiry = (now + ttl) as UnixSeconds;
  const username = user === undefined ? String(expiry) : `${expiry}:${user}`;
  return { username, credential: timeLimitedPassword(nodeCrypto, secret, username), expiry };
}
