/**
 * Allocate (RFC 8656 §7.2), in the RFC's order of checks. Sockets are opened by the driver, so a request that passes
 * becomes an allocation in state `binding`, and is answered when the last of its sockets is open or has failed.
 */
import type { Instant } from "../../base/machine.ts";
import type { PortParity } from "../../base/relay-places.ts";
import { TokenBucket } from "../../base/token-bucket.ts";
import { Attribute, ErrorCode, FAMILY_IPV4, FAMILY_IPV6, TRANSPORT_UDP } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";
import { Account } from "./account.ts";
import { claim, openRelays, sendAllocated, settle } from "./allocate-sockets.ts";
import { type Allocation, NO_RELAYS, type Reservation } from "./allocation.ts";
import type { Authenticated } from "./authenticate.ts";
import { claimFrom, findReservation, holderOf, refuseToken } from "./claims.ts";
import { grantedLifetime, sessionEnd } from "./lifetime.ts";
import { refuse } from "./reply.ts";
import type { ReplyTo } from "./reply-to.ts";
import type { ServerState } from "./state.ts";

export function handleAllocate(state: ServerState, view: StunView, request: Authenticated, now: Instant): void {
  const { reply } = request;
  const existing = state.clients.find(reply.path);
  if (existing !== undefined) return handleRepeated(state, existing, request, now);
  if (!checkTransport(state, view, reply)) return;
  const wish = readWish(state, view, reply);
  if (wish === undefined) return;
  if (mustGoElsewhere(state, reply, now)) return;
  if (!checkFamilies(state, wish, reply)) return;
  const reserved = findReserved(state, wish, request);
  if (reserved === "nowhere") return refuseToken(state, reply);
  const overQuota = state.quota.take(request.credentials.user, reply.path.remote);
  if (overQuota !== undefined) return refuse(state, reply, ErrorCode.AllocationQuotaReached, overQuota);
  const allocation = createAllocation(state, request, wish, now);
  if (reserved !== undefined && "holder" in reserved) {
    return claimFrom(state, allocation, reserved.holder, reserved.token, now);
  }
  if (reserved === undefined) openRelays(state, allocation, wish.families, wish.parity);
  else claim(state, allocation, reserved);
  settle(state, allocation, now);
}

/** RFC 8656 §7.2 (2): an Allocate on a 5-tuple in use is a retransmission of the one that made it, or 437. */
function handleRepeated(state: ServerState, allocation: Allocation, request: Authenticated, now: Instant): void {
  const { reply } = request;
  if (allocation.transaction !== reply.id) {
    return refuse(state, reply, ErrorCode.AllocationMismatch, "the 5-tuple has an allocation already");
  }
  if (allocation.state === "live") sendAllocated(state, allocation, reply, now);
}

/** RFC 8656 §7.2 (3). */
function checkTransport(state: ServerState, view: StunView, reply: ReplyTo): boolean {
  const transport = view.u32(Attribute.RequestedTransport);
  if (transport === undefined) {
    refuse(state, reply, ErrorCode.BadRequest, "REQUESTED-TRANSPORT is missing or malformed");
    return false;
  }
  if (transport >>> 24 === TRANSPORT_UDP) return true;
  refuse(state, reply, ErrorCode.UnsupportedTransportProtocol, `transport protocol ${transport >>> 24} is not relayed`);
  return false;
}

interface Wish {
  /** Families in the order of the answer: one, or IPv4 and IPv6. */
  readonly families: readonly (4 | 6)[];
  readonly parity: PortParity;
  readonly token: Uint8Array | undefined;
  readonly lifetime: number;
}

/** The family in REQUESTED- or ADDITIONAL-ADDRESS-FAMILY: undefined when absent, 0 when it is none (RFC 8656 §18.6). */
export function readFamily(view: StunView, type: number): 4 | 6 | 0 | undefined {
  if (!view.has(type)) return undefined;
  const value = view.u32(type);
  if (value === undefined) return 0;
  return value >>> 24 === FAMILY_IPV4 ? 4 : value >>> 24 === FAMILY_IPV6 ? 6 : 0;
}

function readWish(state: ServerState, view: StunView, reply: ReplyTo): Wish | undefined {
  const bad = (why: string): undefined => {
    refuse(state, reply, ErrorCode.BadRequest, why);
    return undefined;
  };
  const family = readFamily(view, Attribute.RequestedAddressFamily);
  const additional = readFamily(view, Attribute.AdditionalAddressFamily);
  const evenPort = view.bytes(Attribute.EvenPort);
  const token = view.bytes(Attribute.ReservationToken);
  // RFC 8656 §18.7, §18.11: one byte, and eight.
  if (evenPort !== undefined && evenPort.length !== 1) return bad("EVEN-PORT is malformed");
  if (token !== undefined && token.length !== 8) return bad("RESERVATION-TOKEN is malformed");
  // RFC 8656 §7.2 (5): the reservation says all there is to say.
  if (token !== undefined && (evenPort !== undefined || family !== undefined || additional !== undefined)) {
    return bad("RESERVATION-TOKEN excludes EVEN-PORT and the address family attributes");
  }
  // RFC 8656 §7.2 (6).
  if (family !== undefined && additional !== undefined) {
    return bad("REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY exclude each other");
  }
  const reserve = evenPort !== undefined && ((evenPort[0] as number) & 0x80) !== 0;
  // RFC 8656 §7.2 (8).
  if (reserve && additional !== undefined) return bad("EVEN-PORT with R excludes ADDITIONAL-ADDRESS-FAMILY");
  // RFC 8656 §7.2 (9): the only additional family is IPv6.
  if (additional !== undefined && additional !== 6) return bad("ADDITIONAL-ADDRESS-FAMILY must be IPv6");
  const asked = view.has(Attribute.Lifetime) ? view.u32(Attribute.Lifetime) : undefined;
  if (view.has(Attribute.Lifetime) && asked === undefined) return bad("LIFETIME is malformed");
  if (family === 0) {
    // RFC 8656 §7.2 (7): a family that is neither.
    refuse(state, reply, ErrorCode.AddressFamilyNotSupported, "the requested address family is unknown");
    return undefined;
  }
  return {
    families: additional === undefined ? [family ?? 4] : [4, 6],
    parity: evenPort === undefined ? "any" : reserve ? "pair" : "even",
    token,
    lifetime: grantedLifetime(state, asked),
  };
}

/** RFC 8656 §7.2 (11), RFC 8489 §10: another server of the client's own family. */
function mustGoElsewhere(state: ServerState, reply: ReplyTo, now: Instant): boolean {
  const alternate = state.config.alternateServers.find((a) => a.family === reply.path.remote.family);
  if (alternate !== undefined) {
    refuse(state, reply, ErrorCode.TryAlternate, "clients are sent to the alternate server", (writer) =>
      writer.address(Attribute.AlternateServer, alternate),
    );
  } else if (state.draining) {
    refuse(state, reply, ErrorCode.InsufficientCapacity, "the server is shutting down");
  } else if (state.overload.refusesAllocations(now)) {
    refuse(state, reply, ErrorCode.InsufficientCapacity, "more comes than the server can serve");
  } else return false;
  return true;
}

/** RFC 8656 §7.2 (7): 440 when the family asked for, or IPv4 when none is, cannot be had at all. */
function checkFamilies(state: ServerState, wish: Wish, reply: ReplyTo): boolean {
  if (wish.token !== undefined) return true;
  if (wish.families.some((family) => state.places.choose(family, reply.path.local) !== undefined)) return true;
  const names = wish.families.map((family) => `IPv${family}`).join(" and ");
  refuse(state, reply, ErrorCode.AddressFamilyNotSupported, `there is no relay address for ${names}`);
  return false;
}

/** What the token was given for: it may be in another shard. Undefined where there is no token. */
function findReserved(
  state: ServerState,
  { token }: Wish,
  { credentials }: Authenticated,
): Reservation | { readonly holder: number; readonly token: Uint8Array } | "nowhere" | undefined {
  if (token === undefined) return undefined;
  const holder = holderOf(state, token);
  if (holder !== undefined) return { holder, token };
  return findReservation(state, token, credentials.username) ?? "nowhere";
}

function createAllocation(state: ServerState, request: Authenticated, wish: Wish, now: Instant): Allocation {
  const { bandwidth, newPeers } = state.limits;
  const limit = (): TokenBucket | undefined => bandwidth && new TokenBucket(bandwidth, now);
  const allocation: Allocation = {
    id: ++state.lastAllocationId,
    path: request.reply.path,
    credentials: request.credentials,
    transaction: request.reply.id,
    reply: request.reply,
    state: "binding",
    relays: NO_RELAYS,
    permissions: undefined,
    channels: undefined,
    lifetime: wish.lifetime,
    createdAt: now,
    sessionEnd: sessionEnd(state, request.credentials, now),
    reservation: undefined,
    familyError: undefined,
    newPeers: new TokenBucket(newPeers, now),
    account: new Account(state.stats, limit(), limit()),
    next: undefined,
  };
  state.clients.add(allocation);
  return allocation;
}
