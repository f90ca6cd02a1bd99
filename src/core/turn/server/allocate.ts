/**
 * Allocate (RFC 8656 §7.2), in the RFC's order of checks. Sockets are opened by the driver, so a request that passes
 * becomes an allocation in state `binding`, and is answered when the last of its sockets is open or has failed.
 */
import { equalConstantTime } from "../../base/bytes.ts";
import { after, type Instant } from "../../base/machine.ts";
import { Attribute, ErrorCode, FAMILY_IPV4, FAMILY_IPV6, TRANSPORT_UDP } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";
import type { StunWriter } from "../../stun/writer.ts";
import { type Allocation, type PortParity, type Relay, type Reservation, summarize } from "./allocation.ts";
import type { Authenticated } from "./authenticate.ts";
import type { ClientPath } from "./client-path.ts";
import type { RelayId } from "./flow.ts";
import {
  dropRelay,
  endAllocation,
  endRelay,
  extend,
  grantedLifetime,
  releaseRelay,
  sessionEnd,
  withPort,
} from "./lifetime.ts";
import type { RelayPlace } from "./relay-places.ts";
import { finishSuccess, type ReplyTo, refuse, success } from "./reply.ts";
import type { ServerState } from "./state.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Ports to try when others on the host hold the ones we chose. */
const MAX_ATTEMPTS = 12;
/** RFC 8656 §7.2: a reservation is held for at least 30 s. */
const RESERVATION_MS = 30_000;

export function handleAllocate(state: ServerState, view: StunView, request: Authenticated, now: Instant): void {
  const { reply } = request;
  const existing = state.clients.find(reply.path);
  if (existing !== undefined) return handleRepeated(state, existing, request, now);
  if (!checkTransport(state, view, reply)) return;
  const wish = readWish(state, view, reply);
  if (wish === undefined) return;
  if (mustGoElsewhere(state, reply)) return;
  if (!checkFamilies(state, wish, reply)) return;
  const reservation = findReservation(state, wish, request);
  if (reservation === "invalid") {
    // RFC 8656 §7.2 (5): a token that is not, or no longer, good.
    return refuse(state, reply, ErrorCode.InsufficientCapacity, "the reservation token is unknown or has expired");
  }
  const overQuota = state.quota.take(request.credentials.user, reply.path.remote);
  if (overQuota !== undefined) return refuse(state, reply, ErrorCode.AllocationQuotaReached, overQuota);
  const allocation = createAllocation(state, request, wish, now);
  if (reservation === undefined) openRelays(state, allocation, wish);
  else claim(state, allocation, reservation);
  settle(state, allocation, now);
}

/** RFC 8656 §7.2 (2): an Allocate on a 5-tuple in use is a retransmission of the one that made it, or 437. */
function handleRepeated(state: ServerState, allocation: Allocation, request: Authenticated, now: Instant): void {
  const { reply } = request;
  if (!equalConstantTime(allocation.reply.id, reply.id)) {
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
function mustGoElsewhere(state: ServerState, reply: ReplyTo): boolean {
  const alternate = state.config.alternateServers.find((a) => a.family === reply.path.remote.family);
  if (alternate !== undefined) {
    refuse(state, reply, ErrorCode.TryAlternate, "clients are sent to the alternate server", (writer) =>
      writer.address(Attribute.AlternateServer, alternate),
    );
  } else if (state.draining) {
    refuse(state, reply, ErrorCode.InsufficientCapacity, "the server is shutting down");
  }
  return alternate !== undefined || state.draining;
}

/** RFC 8656 §7.2 (7): 440 when the family asked for, or IPv4 when none is, cannot be had at all. */
function checkFamilies(state: ServerState, wish: Wish, reply: ReplyTo): boolean {
  if (wish.token !== undefined) return true;
  if (wish.families.some((family) => state.places.choose(family, reply.path.local) !== undefined)) return true;
  const names = wish.families.map((family) => `IPv${family}`).join(" and ");
  refuse(state, reply, ErrorCode.AddressFamilyNotSupported, `there is no relay address for ${names}`);
  return false;
}

function findReservation(state: ServerState, wish: Wish, request: Authenticated): Reservation | "invalid" | undefined {
  if (wish.token === undefined) return undefined;
  for (const reservation of state.reservations) {
    if (!equalConstantTime(reservation.token, wish.token)) continue;
    return reservation.username === request.credentials.username ? reservation : "invalid";
  }
  return "invalid";
}

function createAllocation(state: ServerState, request: Authenticated, wish: Wish, now: Instant): Allocation {
  const { bytesPerSecond, newPeersPerSecond } = state.config.quotas;
  const limit = (): TokenBucket | undefined =>
    bytesPerSecond > 0 ? new TokenBucket(bytesPerSecond, bytesPerSecond, now) : undefined;
  const allocation: Allocation = {
    id: ++state.lastAllocationId,
    path: request.reply.path,
    credentials: request.credentials,
    reply: request.reply,
    state: "binding",
    relays: [],
    permissions: [],
    channels: [],
    lifetime: wish.lifetime,
    createdAt: now,
    sessionEnd: sessionEnd(state, request.credentials, now),
    reservation: undefined,
    familyError: undefined,
    newPeers: new TokenBucket(newPeersPerSecond, newPeersPerSecond * 4, now),
    uplink: limit(),
    downlink: limit(),
    packetsToPeers: 0,
    bytesToPeers: 0,
    packetsToClient: 0,
    bytesToClient: 0,
    next: undefined,
  };
  state.clients.add(allocation);
  return allocation;
}

/** Asks for the sockets. A family that cannot be had at all is noted at once. */
function openRelays(state: ServerState, allocation: Allocation, wish: Wish): void {
  for (const family of wish.families) {
    const place = state.places.choose(family, allocation.path.local);
    const port = place?.take(state.ports.random, wish.parity);
    if (place === undefined) noteFamilyError(allocation, family, ErrorCode.AddressFamilyNotSupported);
    else if (port === undefined) noteFamilyError(allocation, family, ErrorCode.InsufficientCapacity);
    else openRelay(state, allocation, place, port, wish.parity);
  }
}

function openRelay(
  state: ServerState,
  allocation: Allocation,
  place: RelayPlace,
  port: number,
  parity: PortParity,
): void {
  const relay = state.relays.add((id) => createRelay(id, place, port, parity, allocation));
  allocation.relays.push(relay);
  state.outputs.push({ kind: "bindRelay", relay: relay.id, address: relay.bound });
}

function createRelay(id: RelayId, place: RelayPlace, port: number, parity: PortParity, allocation: Allocation): Relay {
  return {
    kind: "relay",
    id,
    place,
    bound: withPort(place.address.bound, port),
    advertised: withPort(place.address.advertised, port),
    state: "binding",
    attempts: 1,
    parity,
    allocation,
    deadline: 0 as Instant,
    heapIndex: -1,
  };
}

function noteFamilyError(allocation: Allocation, family: 4 | 6, code: number): void {
  allocation.familyError = { family: family === 4 ? FAMILY_IPV4 : FAMILY_IPV6, code };
}

function claim(state: ServerState, allocation: Allocation, reservation: Reservation): void {
  state.deadlines.clear(reservation);
  state.reservations.delete(reservation);
  reservation.relay.allocation = allocation;
  allocation.relays.push(reservation.relay);
}

/** A socket is open. */
export function handleRelayBound(state: ServerState, relay: Relay, now: Instant): void {
  if (relay.state === "abandoned") return dropRelay(state, relay);
  if (relay.state !== "binding") return;
  relay.state = "bound";
  state.relays.publish(relay);
  const { allocation } = relay;
  if (allocation === undefined) return;
  if (relay.parity === "pair" && !reserveSuccessor(state, allocation, relay)) return tryAnotherPort(state, relay, now);
  settle(state, allocation, now);
}

/** RFC 8656 §7.2: the port after an even one is opened too, and waits for whoever brings its token. */
function reserveSuccessor(state: ServerState, allocation: Allocation, relay: Relay): boolean {
  const port = relay.bound.port + 1;
  if (!relay.place.takePort(port)) return false;
  openRelay(state, allocation, relay.place, port, "successor");
  return true;
}

/** A socket could not be opened, or was lost. */
export function handleRelayFailed(
  state: ServerState,
  relay: Relay,
  why: "busy" | "exhausted" | "gone",
  now: Instant,
): void {
  const { allocation } = relay;
  if (relay.state === "bound") {
    if (allocation !== undefined) return endRelay(state, relay, why === "gone" ? "address-gone" : "relay-failed", now);
    for (const reservation of state.reservations) {
      if (reservation.relay === relay) {
        state.reservations.delete(reservation);
        state.deadlines.clear(reservation);
      }
    }
    return releaseRelay(state, relay);
  }
  if (relay.state === "abandoned" || allocation === undefined) return forget(state, relay);
  if (why === "busy") return tryAnotherPort(state, relay, now);
  fail(state, allocation, relay, now);
}

/** The socket never opened: only the port and the identifier are given back. */
function forget(state: ServerState, relay: Relay): void {
  relay.place.giveBack(relay.bound.port);
  state.relays.remove(relay);
}

function tryAnotherPort(state: ServerState, relay: Relay, now: Instant): void {
  const { allocation, place } = relay;
  if (allocation === undefined) return;
  if (relay.parity === "successor") return retryPair(state, allocation, relay, now);
  const port = relay.attempts < MAX_ATTEMPTS ? place.take(state.ports.random, relay.parity) : undefined;
  if (port === undefined) return fail(state, allocation, relay, now);
  const { attempts, parity } = relay;
  discard(state, allocation, relay);
  openRelay(state, allocation, place, port, parity);
  (allocation.relays.at(-1) as Relay).attempts = attempts + 1;
}

/** The successor was taken: the even port is no use either. */
function retryPair(state: ServerState, allocation: Allocation, successor: Relay, now: Instant): void {
  discard(state, allocation, successor);
  const even = allocation.relays[0];
  if (even !== undefined) tryAnotherPort(state, even, now);
}

function discard(state: ServerState, allocation: Allocation, relay: Relay): void {
  allocation.relays.splice(allocation.relays.indexOf(relay), 1);
  if (relay.state === "bound") releaseRelay(state, relay);
  else forget(state, relay);
}

/** One family cannot be had: the other may do (RFC 8656 §7.2 (9)). */
function fail(state: ServerState, allocation: Allocation, relay: Relay, now: Instant): void {
  const { family } = relay.bound;
  discard(state, allocation, relay);
  if (relay.parity === "successor") for (const even of [...allocation.relays]) discard(state, allocation, even);
  noteFamilyError(allocation, family, ErrorCode.InsufficientCapacity);
  settle(state, allocation, now);
}

/** Answers once nothing is outstanding. */
function settle(state: ServerState, allocation: Allocation, now: Instant): void {
  if (allocation.relays.some((relay) => relay.state === "binding")) return;
  if (allocation.relays.length === 0) {
    const why = "no relayed transport address could be opened: ports or descriptors are used up";
    endAllocation(state, allocation, "relay-failed", now);
    return refuse(state, allocation.reply, ErrorCode.InsufficientCapacity, why);
  }
  const successor = allocation.relays.find((relay) => relay.parity === "successor" && allocation.relays.length > 1);
  if (successor !== undefined) reserve(state, allocation, successor, now);
  allocation.state = "live";
  state.stats.allocations++;
  state.stats.allocationsTotal++;
  for (const relay of allocation.relays) extend(state, relay, allocation, allocation.lifetime, now);
  const { lifetime } = allocation;
  const event = { type: "allocation-created", allocation: summarize(allocation), lifetime } as const;
  state.outputs.push({ kind: "event", event });
  sendAllocated(state, allocation, allocation.reply, now);
}

function reserve(state: ServerState, allocation: Allocation, successor: Relay, now: Instant): void {
  allocation.relays.splice(allocation.relays.indexOf(successor), 1);
  successor.allocation = undefined;
  const reservation: Reservation = {
    kind: "reservation",
    token: state.ports.random.bytes(8).slice(),
    username: allocation.credentials.username,
    relay: successor,
    deadline: 0 as Instant,
    heapIndex: -1,
  };
  allocation.reservation = reservation;
  state.reservations.add(reservation);
  state.deadlines.set(reservation, after(now, RESERVATION_MS));
}

/** The success response, the first time and again for a retransmission (RFC 8656 §7.2). */
function sendAllocated(state: ServerState, allocation: Allocation, reply: ReplyTo, now: Instant): void {
  const writer = success(state, reply);
  let left = 0;
  for (const relay of allocation.relays) {
    writer.xorAddress(Attribute.XorRelayedAddress, relay.advertised);
    left = state.secondsUntil(relay.deadline, now);
  }
  writer.u32(Attribute.Lifetime, left);
  if (allocation.reservation !== undefined) writer.bytes(Attribute.ReservationToken, allocation.reservation.token);
  writer.xorAddress(Attribute.XorMappedAddress, reply.path.remote);
  if (allocation.familyError !== undefined) writeFamilyError(writer, allocation.familyError);
  finishSuccess(state, reply);
}

/** RFC 8656 §18.12: ADDRESS-ERROR-CODE. */
function writeFamilyError(writer: StunWriter, { family, code }: { family: number; code: number }): void {
  const value = Uint8Array.of(family, 0, Math.floor(code / 100), code % 100);
  writer.bytes(Attribute.AddressErrorCode, value);
}

/** A client's stream is gone, and with it the 5-tuple. */
export function handleClientClosed(state: ServerState, path: ClientPath, now: Instant): void {
  const allocation = state.clients.find(path);
  if (allocation !== undefined) endAllocation(state, allocation, "client-closed", now);
}
