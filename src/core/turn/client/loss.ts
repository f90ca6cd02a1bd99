/** How an allocation is lost, and what follows: another one by policy, or the end. */
import { type Address, copyAddress } from "../../base/address.ts";
import { after, type Instant } from "../../base/machine.ts";
import { randomBelow } from "../../base/random.ts";
import { type Failure, type FailureReason, ownFailure } from "./failure.ts";
import type { ClientState } from "./state.ts";

/** What another try may mend. */
const MENDABLE: readonly FailureReason[] = [
  "timed-out",
  "integrity-violated",
  "connect-failed",
  "connection-lost",
  "allocation-gone",
  "allocation-mismatch",
  "address-changed",
  "expired",
  "server-error",
  "quota-reached",
  "insufficient-capacity",
];

/** RFC 8656 §7.4: after 486 and 508 a client waits for a minute before it asks this server again. */
const FULL_SERVER_MS = 60_000;

export function connect(state: ClientState, server: Readonly<Address>, domain: string | undefined = undefined): void {
  state.phase = "connecting";
  state.server = server;
  state.domain = domain;
  // RFC 8489 §9.2: nonces belong to one path, so the next request is a first one again.
  state.challenge = undefined;
  state.outputs.push({ kind: "connect", server: copyAddress(server), domain });
}

/** Forgets whatever belongs to the allocation, but for what the caller wants of the next. */
function forget(state: ClientState): void {
  for (const transaction of [...state.transactions.open]) state.transactions.end(transaction);
  for (const kind of ["refreshTimer", "expiryTimer", "keepaliveTimer", "retryTimer"] as const) {
    state.deadlines.clear(state[kind]);
  }
  for (const permission of state.permissions) {
    state.deadlines.clear(permission);
    permission.granted = permission.asking = false;
  }
  for (const channel of state.channels.values()) {
    state.deadlines.clear(channel);
    channel.bound = channel.asking = false;
    channel.heldUntil = 0 as Instant;
    if (!channel.wanted) state.channels.delete(channel.number);
  }
  state.heldBack.length = 0;
  state.refreshFailure = undefined;
  state.mapped = undefined;
}

/** There is no allocation, or none any more. */
export function lose(state: ClientState, failure: Failure, now: Instant): void {
  const { attempts } = state.config.reallocation;
  if (!state.hasLived || !MENDABLE.includes(failure.reason) || state.retries >= attempts) return end(state, failure);
  forget(state);
  state.phase = "waiting";
  const retryIn = retryDelay(state, failure);
  state.retries++;
  state.deadlines.set(state.retryTimer, after(now, retryIn));
  state.outputs.push({ kind: "disconnect" });
  state.tell({ type: "lost", failure, retryIn });
}

function retryDelay(state: ClientState, { reason }: Failure): number {
  if (reason === "quota-reached" || reason === "insufficient-capacity") return FULL_SERVER_MS;
  const { firstDelay, maxDelay } = state.config.reallocation;
  const longest = Math.min(maxDelay, firstDelay * 2 ** state.retries);
  // A server that restarts loses all its clients at once: they come back spread out.
  return Math.round(longest * (0.5 + randomBelow(state.ports.random, 0x10000) / 0x20000));
}

export function end(state: ClientState, failure: Failure): void {
  if (state.phase === "ended") return;
  forget(state);
  state.deadlines.clear(state.renewalTimer);
  state.phase = "ended";
  state.outputs.push({ kind: "disconnect" });
  state.tell({ type: "ended", failure });
}

/** The next try after a loss: at the server that was configured, whoever redirected from it. */
export function retry(state: ClientState): void {
  state.visited.length = 0;
  state.freshPaths = 0;
  connect(state, state.config.server);
}

/** A failure of any request that says that there is no allocation, or nobody to talk to. Returns whether it was one. */
export function loseIfGone(state: ClientState, failure: Failure, now: Instant): boolean {
  const { reason } = failure;
  // RFC 8656 §5: without an allocation, all but Allocate are 437.
  if (reason === "allocation-mismatch") lose(state, ownFailure("allocation-gone"), now);
  else if (reason === "timed-out" || reason === "integrity-violated" || reason === "bid-down")
    lose(state, failure, now);
  else return false;
  return true;
}
