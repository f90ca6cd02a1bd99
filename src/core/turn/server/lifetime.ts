/** How long things live, and the ends they come to. */
import type { Address } from "../../base/address.ts";
import { itemsOf, without } from "../../base/chain.ts";
import { after, type Instant } from "../../base/machine.ts";
import type { Allocation, Channel, Permission, Relay, Reservation } from "./allocation.ts";
import { NO_RELAYS, removeRelay, summarize } from "./allocation.ts";
import type { Credentials } from "./credentials.ts";
import { dateFlows } from "./flow-ends.ts";
import { settleHandOvers } from "./hand-over.ts";
import type { EndReason } from "./outputs.ts";
import type { ServerState } from "./state.ts";

/** RFC 8656 §7.2, §8.2: the lifetime granted for what was asked, in seconds. */
export function grantedLifetime(state: ServerState, asked: number | undefined): number {
  const { default: usual, max } = state.config.lifetime;
  return asked === undefined ? usual : Math.max(Math.min(asked, max), usual);
}

/** The instant beyond which no refresh reaches, if there is one. */
export function sessionEnd(state: ServerState, { expiry }: Credentials, now: Instant): Instant | undefined {
  if (expiry === undefined) return undefined;
  const seconds = expiry - state.ports.wallClock.now() + state.config.sessionBeyondExpiry;
  return after(now, Math.max(0, seconds) * 1000);
}

/** Sets the end of a relay `lifetime` seconds ahead, or at the session's end; returns the seconds that are left. */
export function extend(
  state: ServerState,
  relay: Relay,
  allocation: Allocation,
  lifetime: number,
  now: Instant,
): number {
  const { sessionEnd: end } = allocation;
  const asked = after(now, lifetime * 1000);
  const deadline = end === undefined || asked < end ? asked : end;
  state.deadlines.set(relay, deadline);
  for (const channel of itemsOf(allocation.channels)) if (channel.relay === relay) dateFlows(state, channel);
  return state.secondsUntil(deadline, now);
}

/** Closes a relay's socket and frees its port. While it is being opened that has to wait. */
export function releaseRelay(state: ServerState, relay: Relay): void {
  state.deadlines.clear(relay);
  relay.allocation = undefined;
  if (relay.state === "binding") {
    relay.state = "abandoned";
    return;
  }
  state.relays.unpublish(relay);
  dropRelay(state, relay);
}

/** Frees the identifier and the port of a relay that is open, and closes it. */
export function dropRelay(state: ServerState, relay: Relay): void {
  state.outputs.push({ kind: "releaseRelay", relay: relay.id });
  freePort(state, relay);
  state.relays.remove(relay);
}

/** The port goes back to whose it is. */
export function freePort(state: ServerState, { lender, place, bound }: Relay): void {
  if (lender === undefined) place.giveBack(bound.port);
  else state.tell(lender, { type: "port-returned", bound });
}

export function removePermission(state: ServerState, permission: Permission): void {
  const { allocation } = permission;
  state.deadlines.clear(permission);
  allocation.permissions = without(allocation.permissions, permission);
  state.stats.permissions--;
  for (const channel of itemsOf(allocation.channels)) {
    if (channel.permission !== permission) continue;
    channel.permission = undefined;
    settleHandOvers(state, channel);
    if (!channel.own) state.outputs.push({ kind: "withdraw", flow: channel.toClient });
  }
}

export function removeChannel(state: ServerState, channel: Channel): void {
  const { allocation } = channel;
  state.deadlines.clear(channel);
  allocation.channels = without(allocation.channels, channel);
  state.stats.channels--;
  settleHandOvers(state, channel);
  if (channel.own) return;
  state.outputs.push({ kind: "withdraw", flow: channel.toPeer });
  if (channel.permission !== undefined) state.outputs.push({ kind: "withdraw", flow: channel.toClient });
}

/** Gives up a reservation that nobody claimed. */
export function removeReservation(state: ServerState, reservation: Reservation): void {
  state.deadlines.clear(reservation);
  state.reservations.delete(reservation);
  releaseRelay(state, reservation.relay);
}

/** Ends one relay of an allocation with what belongs to its family, and the allocation with its last relay. */
export function endRelay(state: ServerState, relay: Relay, reason: EndReason, now: Instant): void {
  const { allocation } = relay;
  if (allocation === undefined) return;
  // One that is still being made has no deadline yet: it ends whole, and its client's retransmission makes another.
  if (allocation.relays.length === 1 || allocation.state === "binding") {
    return endAllocation(state, allocation, reason, now);
  }
  for (const channel of itemsOf(allocation.channels)) if (channel.relay === relay) removeChannel(state, channel);
  for (const permission of itemsOf(allocation.permissions)) {
    if (permission.peer.family === relay.bound.family) removePermission(state, permission);
  }
  removeRelay(allocation, relay);
  releaseRelay(state, relay);
}

export function endAllocation(state: ServerState, allocation: Allocation, reason: EndReason, now: Instant): void {
  if (allocation.state === "ended") return;
  const wasLive = allocation.state === "live";
  const summary = summarize(allocation);
  allocation.state = "ended";
  for (const channel of itemsOf(allocation.channels)) removeChannel(state, channel);
  for (const permission of itemsOf(allocation.permissions)) removePermission(state, permission);
  const { relays } = allocation;
  allocation.relays = NO_RELAYS;
  for (const relay of relays) releaseRelay(state, relay);
  const { reservation } = allocation;
  if (reservation !== undefined && state.reservations.has(reservation)) removeReservation(state, reservation);
  state.clients.remove(allocation);
  state.quota.giveBack(allocation.credentials.user, allocation.path.remote);
  if (!wasLive) return;
  state.stats.allocations--;
  // Who withdraws its flows before it hears of the end adds what is missing yet.
  const { traffic } = allocation.account;
  const seconds = Math.round((now - allocation.createdAt) / 1000);
  state.outputs.push({
    kind: "event",
    event: { type: "allocation-ended", allocation: summary, reason, seconds, traffic },
  });
}

/** Whether the session is over because its credential is. */
export function expiryReason(allocation: Allocation, now: Instant): EndReason {
  return allocation.sessionEnd !== undefined && allocation.sessionEnd <= now ? "credentials-expired" : "expired";
}

/** The transport address at `port` of an IP address. */
export function withPort(address: Readonly<Address>, port: number): Address {
  return { ...address, port };
}
