/** The client's side of digest authentication: the answer to a challenge of a realm whose password it has. */
import type { Ports } from "../../base/ports.ts";
import { type DigestAlgorithm, digestHash, digestResponse, hexOf, parseDigestAlgorithm } from "./algorithm.ts";
import type { DigestParameters } from "./authorization.ts";

/** Binary strings: a name or password beyond ASCII is its UTF-8 bytes, a character each. */
export interface DigestAccount {
  readonly realm: string;
  readonly username: string;
  readonly password: string;
}

/** A challenge that this account answers, and how often that was done. */
export interface Challenge {
  readonly nonce: string;
  readonly algorithm: DigestAlgorithm;
  readonly opaque: string | undefined;
  readonly isStale: boolean;
}

/**
 * The best of the challenges that were sent, by RFC 8760 §2.4 the first that is understood; undefined when none is for
 * this account's realm. A challenge for another realm is never answered: its sender would learn a digest to guess from.
 */
export function chooseChallenge(
  challenges: readonly DigestParameters[],
  account: DigestAccount,
): Challenge | undefined {
  for (const parameters of challenges) {
    const nonce = parameters.get("nonce");
    const algorithm = parseDigestAlgorithm(parameters.get("algorithm"));
    if (parameters.get("realm") !== account.realm || !nonce || algorithm === undefined) continue;
    if (!offersAuth(parameters.get("qop"))) continue;
    const isStale = parameters.get("stale")?.toLowerCase() === "true";
    return { nonce, algorithm, opaque: parameters.get("opaque"), isStale };
  }
  return undefined;
}

function offersAuth(qop: string | undefined): boolean {
  return qop?.split(",").some((one) => one.trim().toLowerCase() === "auth") ?? false;
}

/** The value of the Authorization or Proxy-Authorization header. `count`: of requests with this nonce, from 1. */
export function formatAuthorization(
  ports: Pick<Ports, "crypto" | "random">,
  account: DigestAccount,
  challenge: Challenge,
  request: { readonly method: string; readonly uri: string; readonly count: number },
): string {
  const { crypto, random } = ports;
  const { algorithm, nonce, opaque } = challenge;
  const { method, uri } = request;
  const nonceCount = (request.count + 0x1_0000_0000).toString(16).slice(-8);
  const cnonce = hexOf(random.bytes(16));
  const ha1 = digestHash(crypto, algorithm, `${account.username}:${account.realm}:${account.password}`);
  const response = digestResponse(crypto, algorithm, ha1, { method, uri, nonce, nonceCount, cnonce });
  const fields = [
    `Digest username="${quoted(account.username)}"`,
    `realm="${quoted(account.realm)}"`,
    `nonce="${quoted(nonce)}"`,
    `uri="${uri}"`,
    `response="${response}"`,
    `algorithm=${algorithm}`,
    "qop=auth",
    `nc=${nonceCount}`,
    `cnonce="${cnonce}"`,
  ];
  if (opaque !== undefined) fields.push(`opaque="${quoted(opaque)}"`);
  return fields.join(", ");
}

function quoted(text: string): string {
  return text.replace(/["\\]/g, "\\$&");
}
