/**
 * Refresh (RFC 8656 §8.1, §8.3), which prolongs the allocation or ends it, and keepalives. Over UDP every other keepalive
 * is a Binding, which keeps the NAT's mapping and tells when it has changed; the others are Refreshes, because a server
 * that was restarted answers Bindings as before, and nothing else would tell for minutes that the allocation is gone.
 */
import { blankAddress, sameAddress } from "../../base/address.ts";
import { after, type Instant } from "../../base/machine.ts";
import { STREAM_TIMING, type TransactionTiming } from "../../stun/client-transaction.ts";
import { Attribute, Method } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";
import { type Failure, ownFailure } from "./failure.ts";
import { end, lose, loseIfGone } from "./loss.ts";
import { askCredentials, isOfCredentials } from "./renewal.ts";
import { beginRequest, send } from "./requests.ts";
import type { ClientState } from "./state.ts";

/** Whoever closes does not wait for half a minute: the server forgets by itself. */
const CLOSING_UDP: TransactionTiming = { rto: 500, count: 3, lastWait: 1000 };
const CLOSING_STREAM: TransactionTiming = { ...STREAM_TIMING, lastWait: 2500 };

/** Seconds. What is shorter is not worth a refresh: the server is ending the session. */
const SHORTEST = 10;
/** Left for a refresh to be answered in, in seconds; a minute more than one transaction takes at most. */
const MARGIN = 100;

/** RFC 8656 §8.1: a refresh is sent before the lifetime ends. */
export function prolong(state: ClientState, lifetime: number, now: Instant): void {
  state.refreshFailure = undefined;
  state.deadlines.set(state.expiryTimer, after(now, lifetime * 1000));
  refreshIn(state, lifetime, now);
}

function refreshIn(state: ClientState, lifetime: number, now: Instant): void {
  if (lifetime < SHORTEST) return;
  const wait = lifetime >= 2 * MARGIN ? lifetime - MARGIN : lifetime / 2;
  state.deadlines.set(state.refreshTimer, after(now, wait * 1000));
}

export function sendRefresh(state: ClientState, challenges: number, now: Instant): void {
  const writer = beginRequest(state, Method.Refresh);
  if (state.config.lifetime !== undefined) writer.u32(Attribute.Lifetime, state.config.lifetime);
  send(state, { kind: "refresh" }, challenges, now);
}

export function handleRefreshed(state: ClientState, view: StunView, now: Instant): void {
  const lifetime = view.u32(Attribute.Lifetime);
  if (lifetime === undefined) return handleNotRefreshed(state, ownFailure("bad-response"), now);
  prolong(state, lifetime, now);
  const isCut = lifetime < state.firstLifetime && lifetime <= 2 * MARGIN;
  if (isCut) askCredentials(state, ownFailure("expiring"), now);
}

export function handleNotRefreshed(state: ClientState, failure: Failure, now: Instant): void {
  if (loseIfGone(state, failure, now)) return;
  const endsIn = Math.max(0, Math.floor((state.expiryTimer.deadline - now) / 1000));
  state.refreshFailure = failure;
  state.tell({ type: "not-refreshed", failure, endsIn });
  // Without other credentials another try is the same try.
  if (state.config.renewable || !isOfCredentials(failure)) refreshIn(state, endsIn, now);
}

/** The lifetime has run out without a refresh that worked. */
export function handleExpired(state: ClientState, now: Instant): void {
  lose(state, state.refreshFailure ?? ownFailure("expired"), now);
}

/** Refresh with lifetime 0 (RFC 8656 §8.1). */
export function sendClose(state: ClientState, challenges: number, now: Instant): void {
  state.phase = "closing";
  for (const transaction of [...state.transactions.open]) state.transactions.end(transaction);
  const timers = [state.refreshTimer, state.expiryTimer, state.keepaliveTimer];
  for (const timed of [...timers, ...state.permissions, ...state.channels.values()]) state.deadlines.clear(timed);
  beginRequest(state, Method.Refresh).u32(Attribute.Lifetime, 0);
  send(state, { kind: "close" }, challenges, now, closingTiming(state));
}

/**
 * The client is closed while an Allocate is under way, which may have made an allocation that nobody has heard of: it is
 * asked again with the same message, and what it brings is released. False: the server has not been heard yet, and makes no
 * allocation for who has no nonce.
 */
export function abandonAllocate(state: ClientState, now: Instant): boolean {
  for (const transaction of [...state.transactions.open]) {
    const { request, purpose } = transaction;
    if (purpose.subject.kind !== "allocate" || purpose.challenge === undefined) continue;
    state.phase = "closing";
    state.transactions.end(transaction);
    state.transactions.start(request, { ...purpose, subject: { kind: "abandon" } }, closingTiming(state), now);
    return true;
  }
  return false;
}

function closingTiming({ config }: ClientState): TransactionTiming {
  return config.transport === "udp" ? CLOSING_UDP : CLOSING_STREAM;
}

/** Answered, or not: it is over. RFC 8656 §8.3: a 437 says that it was over already. */
export function handleCloseDone(state: ClientState): void {
  end(state, ownFailure("closed"));
}

export function startKeepalive(state: ClientState, now: Instant): void {
  const { keepalive, transport } = state.config;
  // A stream has no mapping to be kept.
  const wait = transport === "udp" ? keepalive : 2 * keepalive;
  if (keepalive > 0) state.deadlines.set(state.keepaliveTimer, after(now, wait));
}

export function sendKeepalive(state: ClientState, now: Instant): void {
  state.wasBinding = state.config.transport === "udp" && !state.wasBinding;
  if (state.wasBinding) {
    beginRequest(state, Method.Binding);
    return send(state, { kind: "keepalive" }, 0, now);
  }
  startKeepalive(state, now);
  const isAsked = [...state.transactions.open].some(({ purpose }) => purpose.subject.kind === "refresh");
  if (!isAsked) sendRefresh(state, 0, now);
}

/** The client's address as the server sees it now: another than at first is another 5-tuple, without an allocation. */
export function handleKeptAlive(state: ClientState, view: StunView, now: Instant): void {
  const index = view.indexOf(Attribute.XorMappedAddress);
  const mapped = blankAddress();
  const isKnown = index >= 0 && view.xorAddressAt(index, mapped);
  if (isKnown && state.mapped !== undefined && !sameAddress(mapped, state.mapped)) {
    return lose(state, ownFailure("address-changed"), now);
  }
  startKeepalive(state, now);
}

/** A server that refuses Binding is there all the same. */
export function handleNotKeptAlive(state: ClientState, failure: Failure, now: Instant): void {
  if (failure.reason === "timed-out") lose(state, failure, now);
  else startKeepalive(state, now);
}
