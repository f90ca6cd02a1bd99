/**
 * Credentials that end before the session does. Others are asked for when the server refuses these, or prolongs the
 * allocation ever less; what was refused waits for them, and is then asked again.
 */
import { after, type Instant } from "../../base/machine.ts";
import { answerAnew, type ClientCredentials } from "./challenge.ts";
import { bind } from "./channels.ts";
import type { Failure } from "./failure.ts";
import { connect } from "./loss.ts";
import { wantPermission } from "./permissions.ts";
import type { ClientState, Subject } from "./state.ts";

/** How long other credentials are waited for. */
const PATIENCE_MS = 60_000;

export function isOfCredentials({ reason }: Failure): boolean {
  return reason === "unauthenticated" || reason === "wrong-credentials";
}

export function askCredentials(state: ClientState, failure: Failure, now: Instant): void {
  if (!state.config.renewable || isRenewing(state)) return;
  state.deadlines.set(state.renewalTimer, after(now, PATIENCE_MS));
  state.outputs.push({ kind: "renew", failure });
}

function isRenewing(state: ClientState): boolean {
  return state.renewalTimer.heapIndex >= 0;
}

/** Whether a request that failed waits for other credentials. The first allocation does not: who opens it knows better. */
export function holdBack(state: ClientState, subject: Subject, failure: Failure, now: Instant): boolean {
  const { config, hasLived, areUntried, phase } = state;
  const mayRenew = config.renewable && hasLived && !areUntried && phase !== "closing";
  if (!mayRenew || !isOfCredentials(failure)) return false;
  if (subject.kind === "permission") subject.permission.asking = false;
  if (subject.kind === "channel") subject.channel.asking = false;
  state.heldBack.push(subject);
  askCredentials(state, failure, now);
  return true;
}

/** Takes other credentials, and returns what is to be asked with them; undefined when they are of no use here. */
export function renew(state: ClientState, credentials: ClientCredentials): readonly Subject[] | undefined {
  const isOtherName = credentials.username !== state.credentials.username;
  // RFC 8656 §5: with another user name than the one that made the allocation everything is 441.
  if (isOtherName && state.phase === "live") return undefined;
  state.deadlines.clear(state.renewalTimer);
  state.credentials = credentials;
  state.areUntried = true;
  const held = state.heldBack.splice(0);
  // A server may know an allocation by the key that made it: what it takes goes on being used until it is refused.
  if (state.challenge !== undefined && held.length > 0) {
    state.challenge = answerAnew(state.challenge, credentials, state.ports.crypto);
  }
  if (isOtherName && state.phase === "allocating" && held.length === 0) startOver(state);
  return held;
}

/** An Allocate is under way with the former name: on another path it is nobody's. */
function startOver(state: ClientState): void {
  for (const transaction of [...state.transactions.open]) state.transactions.end(transaction);
  connect(state, state.server, state.domain);
}

/** What `former` wants is wanted of a client that is not open yet. */
export function inherit(state: ClientState, former: ClientState): void {
  for (const { wanted, peer } of former.channels.values()) if (wanted) bind(state, peer, 0 as Instant);
  for (const { peer, awaited } of former.permissions) wantPermission(state, peer).awaited = awaited;
}
