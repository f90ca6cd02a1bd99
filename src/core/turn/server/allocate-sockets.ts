/**
 * The sockets of an allocation. Asked for here, opened by the driver, and settled when none is outstanding: a port that
 * somebody else holds is replaced by another, a pair is opened one after the other, a family that cannot be had is told
 * in the answer (RFC 8656 §7.2).
 */
import { type Address, sameAddress } from "../../base/address.ts";
import { copyBytes } from "../../base/bytes.ts";
import { after, type Instant } from "../../base/machine.ts";
import type { PortParity, RelayPlace } from "../../base/relay-places.ts";
import { Attribute, ErrorCode, FAMILY_IPV4, FAMILY_IPV6 } from "../../stun/registry.ts";
import type { StunWriter } from "../../stun/writer.ts";
import { type Allocation, addRelay, type Relay, type Reservation, removeRelay, summarize } from "./allocation.ts";
import type { RelayId } from "./flow.ts";
import { dropRelay, endAllocation, endRelay, extend, freePort, releaseRelay, withPort } from "./lifetime.ts";
import { finishSuccess, refuse, success } from "./reply.ts";
import type { ReplyTo } from "./reply-to.ts";
import type { ClaimId } from "./shard.ts";
import type { ServerState } from "./state.ts";

/** Ports to try when others on the host hold the ones we chose. */
const MAX_ATTEMPTS = 12;
/** RFC 8656 §7.2: a reservation is held for at least 30 s. */
const RESERVATION_MS = 30_000;

/** Asks for the sockets. A family that cannot be had at all is noted at once. */
export function openRelays(
  state: ServerState,
  allocation: Allocation,
  families: readonly (4 | 6)[],
  parity: PortParity,
): void {
  for (const family of families) {
    const place = state.places.choose(family, allocation.path.local);
    const port = place?.take(state.ports.random, parity);
    if (place === undefined) noteFamilyError(allocation, family, ErrorCode.AddressFamilyNotSupported);
    else if (port === undefined) noteFamilyError(allocation, family, ErrorCode.InsufficientCapacity);
    else openRelay(state, allocation, place, port, parity);
  }
}

function openRelay(
  state: ServerState,
  allocation: Allocation,
  place: RelayPlace,
  port: number,
  parity: PortParity,
): void {
  const relay = state.relays.add((id) => createRelay(id, place, port, parity, allocation, undefined));
  addRelay(allocation, relay);
  state.outputs.push({ kind: "bindRelay", relay: relay.id, address: relay.bound });
}

/** A socket that was another shard's: `place` is ours at the address that it is bound to. */
export function adoptRelay(
  state: ServerState,
  allocation: Allocation,
  {
    claim,
    place,
    bound,
    lender,
  }: {
    readonly claim: ClaimId;
    readonly place: RelayPlace;
    readonly bound: Readonly<Address>;
    readonly lender: number;
  },
): void {
  const relay = state.relays.add((id) => createRelay(id, place, bound.port, "any", allocation, lender));
  addRelay(allocation, relay);
  state.outputs.push({ kind: "adoptRelay", relay: relay.id, claim, address: relay.bound });
}

function createRelay(
  id: RelayId,
  place: RelayPlace,
  port: number,
  parity: PortParity,
  allocation: Allocation,
  lender: number | undefined,
): Relay {
  const bound = withPort(place.address.bound, port);
  const advertised = withPort(place.address.advertised, port);
  return {
    kind: "relay",
    id,
    place,
    bound,
    advertised: sameAddress(bound, advertised) ? bound : advertised,
    state: "binding",
    attempts: 1,
    parity,
    lender,
    allocation,
    deadline: 0 as Instant,
    heapIndex: -1,
    next: undefined,
  };
}

function noteFamilyError(allocation: Allocation, family: 4 | 6, code: number): void {
  allocation.familyError = { family: family === 4 ? FAMILY_IPV4 : FAMILY_IPV6, code };
}

export function claim(state: ServerState, allocation: Allocation, reservation: Reservation): void {
  state.deadlines.clear(reservation);
  state.reservations.delete(reservation);
  reservation.relay.allocation = allocation;
  addRelay(allocation, reservation.relay);
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
  if (why === "busy" && relay.lender === undefined) return tryAnotherPort(state, relay, now);
  fail(state, allocation, relay, now);
}

/** The socket never opened: only the port and the identifier are given back. */
function forget(state: ServerState, relay: Relay): void {
  freePort(state, relay);
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
  removeRelay(allocation, relay);
  if (relay.state === "bound") releaseRelay(state, relay);
  else forget(state, relay);
}

/** One family cannot be had: the other may do (RFC 8656 §7.2 (9)). */
function fail(state: ServerState, allocation: Allocation, relay: Relay, now: Instant): void {
  const { family } = relay.bound;
  discard(state, allocation, relay);
  if (relay.parity === "successor") for (const even of allocation.relays) discard(state, allocation, even);
  noteFamilyError(allocation, family, ErrorCode.InsufficientCapacity);
  settle(state, allocation, now);
}

/** Answers once nothing is outstanding. */
export function settle(state: ServerState, allocation: Allocation, now: Instant): void {
  const { reply } = allocation;
  if (reply === undefined || allocation.relays.some((relay) => relay.state === "binding")) return;
  if (allocation.relays.length === 0) {
    const why = "no relayed transport address could be opened: ports or descriptors are used up";
    endAllocation(state, allocation, "relay-failed", now);
    return refuse(state, reply, ErrorCode.InsufficientCapacity, why);
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
  sendAllocated(state, allocation, reply, now);
  allocation.reply = undefined;
}

function reserve(state: ServerState, allocation: Allocation, successor: Relay, now: Instant): void {
  removeRelay(allocation, successor);
  successor.allocation = undefined;
  const reservation: Reservation = {
    kind: "reservation",
    token: state.tokens?.make(state.ports.random) ?? copyBytes(state.ports.random.bytes(8)),
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
export function sendAllocated(state: ServerState, allocation: Allocation, reply: ReplyTo, now: Instant): void {
  const writer = success(state, reply);
  let left = 0;
  for (const relay of allocation.relays) {
    writer.xorAddress(Attribute.XorRelayedAddress, relay.advertised);
    left = state.secondsUntil(relay.deadline, now);
  }
  writer.u32(Attribute.Lifetime, left);
  const { reservation } = allocation;
  if (reservation !== undefined && state.reservations.has(reservation)) {
    writer.bytes(Attribute.ReservationToken, reservation.token);
  }
  writer.xorAddress(Attribute.XorMappedAddress, reply.path.remote);
  if (allocation.familyError !== undefined) writeFamilyError(writer, allocation.familyError);
  finishSuccess(state, reply);
}

/** RFC 8656 §18.12: ADDRESS-ERROR-CODE. */
function writeFamilyError(writer: StunWriter, { family, code }: { family: number; code: number }): void {
  const value = Uint8Array.of(family, 0, Math.floor(code / 100), code % 100);
  writer.bytes(Attribute.AddressErrorCode, value);
}
