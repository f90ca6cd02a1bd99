/**
 * The long-term credential mechanism (RFC 8489 §9.2.4), arranged so that nothing is kept for, and no key is looked up
 * for, a sender whose address is not proven by a valid nonce.
 */

import { copyBytes, equalConstantTime } from "../../base/bytes.ts";
import type { Instant } from "../../base/machine.ts";
import { cutCopy } from "../../base/slab.ts";
import { decodePasswordAlgorithm } from "../../stun/credentials.ts";
import { hasIntegritySha1, hasIntegritySha256 } from "../../stun/integrity.ts";
import { opaqueString } from "../../stun/opaque-string.ts";
import { Attribute, ErrorCode, Method, PasswordAlgorithmNumber } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";
import { type ClientPath, copyPath } from "./client-path.ts";
import { type Credentials, parseTimeLimited, timeLimitedCandidates } from "./credentials.ts";
import { PASSWORD_ALGORITHMS, refuseUnproven } from "./reply.ts";
import { type ReplyTo, replyTo, type Seal } from "./reply-to.ts";
import type { ServerState } from "./state.ts";

/** A request whose sender is known. */
export interface Authenticated {
  readonly reply: ReplyTo;
  readonly credentials: Credentials;
}

/** RFC 8489 §14.3, §14.9, §14.10: user names have fewer than 509 bytes, realms and nonces fewer than 764. */
const MAX_USERNAME_BYTES = 508;
const MAX_QUOTED_BYTES = 763;

/** The shortest request worth a challenge: an Allocate with its REQUESTED-TRANSPORT. */
const MIN_CHALLENGED_LENGTH = 28;

/** TURN does not allow a truncated MESSAGE-INTEGRITY-SHA256. */
const TURN_SHA256_LENGTH = 32;

/**
 * Checks a request as far as it can be without a look-up. The answer to the client, if one is due, is queued. `undefined`
 * means that the request goes no further now: it was refused, dropped, or waits for `handleKey`.
 */
export function authenticate(
  state: ServerState,
  view: StunView,
  path: ClientPath,
  now: Instant,
): Authenticated | undefined {
  const nonce = checkForm(state, view, path, now);
  if (nonce === undefined) return undefined;
  // DEVIATES RFC 8489 §9.2.4: the nonce is checked before the user and the integrity, not after: keys are looked up,
  // and memory is held, only for a proven return path.
  if (!state.nonces.isValid(nonce, path.remote, state.ports.wallClock.now())) {
    return refuseStranger(state, view, path, ErrorCode.StaleNonce, now);
  }
  if (!state.acquaintances.take(path.remote, now)) return state.drop("over-budget");
  const algorithm = negotiatedAlgorithm(view);
  if (algorithm === undefined) return refuseKnown(state, view, path, ErrorCode.BadRequest);
  return verifyOrAsk(state, view, path, algorithm, now);
}

/** RFC 8489 §9.2.4, the first checks: the credentials' parts are all there, or none. Returns the nonce. */
function checkForm(state: ServerState, view: StunView, path: ClientPath, now: Instant): string | undefined {
  if (!view.has(Attribute.MessageIntegrity) && !view.has(Attribute.MessageIntegritySha256)) {
    // No client's first request is so short, and the shortest draws the most for its size.
    if (view.length < MIN_CHALLENGED_LENGTH) return state.drop("would-amplify");
    return refuseStranger(state, view, path, ErrorCode.Unauthenticated, now);
  }
  const named = view.has(Attribute.Username) || view.has(Attribute.Userhash);
  if (!named || !view.has(Attribute.Realm) || !view.has(Attribute.Nonce)) {
    return refuseStranger(state, view, path, ErrorCode.BadRequest, now);
  }
  const nonce = view.text(Attribute.Nonce, MAX_QUOTED_BYTES);
  return nonce ?? refuseStranger(state, view, path, ErrorCode.StaleNonce, now);
}

function refuseStranger(
  state: ServerState,
  view: StunView,
  path: ClientPath,
  code: ErrorCode,
  now: Instant,
): undefined {
  if (!state.strangers.take(path.remote, now)) return state.drop("over-budget");
  refuseUnproven(state, view, path, code);
  return undefined;
}

/** The return path is proven, the budget taken. */
function refuseKnown(state: ServerState, view: StunView, path: ClientPath, code: ErrorCode): undefined {
  refuseUnproven(state, view, path, code);
  return undefined;
}

/** RFC 8489 §9.2.4: which algorithm the client derived its key by; undefined is a 400. Every nonce of ours offers both. */
function negotiatedAlgorithm(view: StunView): PasswordAlgorithmNumber | undefined {
  const offered = view.bytes(Attribute.PasswordAlgorithms);
  const chosen = view.bytes(Attribute.PasswordAlgorithm);
  if (offered === undefined && chosen === undefined) return PasswordAlgorithmNumber.Md5;
  // A list that is not the one we sent was tampered with on the way to the client: the downgrade is caught here.
  if (offered === undefined || chosen === undefined || !equalConstantTime(offered, PASSWORD_ALGORITHMS)) {
    return undefined;
  }
  return decodePasswordAlgorithm(chosen);
}

function verifyOrAsk(
  state: ServerState,
  view: StunView,
  path: ClientPath,
  algorithm: PasswordAlgorithmNumber,
  now: Instant,
): Authenticated | undefined {
  const realm = view.text(Attribute.Realm, MAX_QUOTED_BYTES);
  if (realm !== state.config.realm) return refuseKnown(state, view, path, ErrorCode.Unauthenticated);
  const hidden = view.bytes(Attribute.Userhash);
  const username = view.text(Attribute.Username, MAX_USERNAME_BYTES);
  const known = knownCandidate(state, path, username, algorithm);
  if (known !== undefined) return verify(state, view, path, [known]);
  const { secrets, config, ports } = state;
  if (username !== undefined && secrets.length > 0 && parseTimeLimited(username) !== undefined) {
    const candidates = timeLimitedCandidates(ports.crypto, secrets, username, realm, algorithm);
    return verify(state, view, path, candidates);
  }
  if (!config.users) return refuseKnown(state, view, path, ErrorCode.Unauthenticated);
  const prepared = username === undefined ? undefined : opaqueString(username);
  const user =
    prepared !== undefined ? { username: prepared } : hidden !== undefined ? { userhash: hidden } : undefined;
  // RFC 8489 §14.4: USERHASH is 32 bytes.
  if (user === undefined || (user.userhash !== undefined && user.userhash.length !== 32)) {
    return refuseKnown(state, view, path, ErrorCode.Unauthenticated);
  }
  return ask(state, view, path, algorithm, user, now);
}

/** The credentials of the allocation on this path, when the request names the same user: no look-up is needed. */
function knownCandidate(
  state: ServerState,
  path: ClientPath,
  username: string | undefined,
  algorithm: PasswordAlgorithmNumber,
): Credentials | undefined {
  const credentials = state.clients.find(path)?.credentials;
  return credentials?.username === username && credentials?.algorithm === algorithm ? credentials : undefined;
}

function ask(
  state: ServerState,
  view: StunView,
  path: ClientPath,
  algorithm: PasswordAlgorithmNumber,
  user: { username: string; userhash?: never } | { userhash: Uint8Array; username?: never },
  now: Instant,
): undefined {
  const asked = user.userhash === undefined ? { username: user.username } : { userhash: copyBytes(user.userhash) };
  const lookup = {
    data: cutCopy(view.data, 0, view.length),
    path: copyPath(path),
    algorithm,
    since: now,
    user: asked,
  };
  const query = state.lookups.add(lookup);
  if (query === undefined) return state.drop("lookup-overload");
  state.outputs.push({ kind: "lookupKey", query, user: asked, realm: state.config.realm });
  return undefined;
}

/** Checks the integrity against each candidate; 401 when none fits. */
export function verify(
  state: ServerState,
  view: StunView,
  path: ClientPath,
  candidates: readonly Credentials[],
): Authenticated | undefined {
  for (const credentials of candidates) {
    const seal = sealedWith(state, view, credentials);
    if (seal === undefined) continue;
    if (hasExpired(state, view, credentials)) break;
    return { reply: replyTo(view, path, credentials.username, seal), credentials };
  }
  return refuseKnown(state, view, path, ErrorCode.Unauthenticated);
}

/** RFC 8489 §9.2.4: where both kinds of integrity are there, the stronger counts. */
function sealedWith(state: ServerState, view: StunView, { key }: Credentials): Seal | undefined {
  const { crypto } = state.ports;
  if (view.has(Attribute.MessageIntegritySha256)) {
    return hasIntegritySha256(view, crypto, key, TURN_SHA256_LENGTH) ? { hash: "sha256", key } : undefined;
  }
  return hasIntegritySha1(view, crypto, key) ? { hash: "sha1", key } : undefined;
}

/**
 * A time-limited name must be in time to allocate; a session that it made is bounded by its own end. Its last second is
 * too late: by the time that sockets are open the lifetime to grant would be 0.
 */
function hasExpired(state: ServerState, view: StunView, { expiry }: Credentials): boolean {
  return view.method === Method.Allocate && expiry !== undefined && expiry <= state.ports.wallClock.now() + 1;
}
