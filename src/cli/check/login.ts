/** Credentials of one server. */
import type { Secret } from "../../node/secret.ts";

export interface Login {
  readonly username: string;
  readonly password: Secret;
}

/** A server that the caller names. */
export interface Asked {
  readonly uri: string;
  readonly login: Login | undefined;
}

/** When credentials of the kind that expires did (`TIMESTAMP:NAME`); undefined: not yet, or they are of another kind. */
export function expiredAt({ username }: Login, unixSeconds: number): Date | undefined {
  const [digits = ""] = username.split(":");
  const expiry = /^\d{9,11}$/.test(digits) ? Number(digits) : Number.POSITIVE_INFINITY;
  return expiry < unixSeconds ? new Date(expiry * 1000) : undefined;
}
