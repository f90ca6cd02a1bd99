/** Allocate (RFC 8656 §7.1, §7.3, §7.4). */
import { type Address, blankAddress, copyAddress, sameAddress } from "../../base/address.ts";
import { copyBytes } from "../../base/bytes.ts";
import type { Instant } from "../../base/machine.ts";
import { Attribute, FAMILY_IPV4, FAMILY_IPV6, Method, TRANSPORT_UDP } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";
import { errorCodeAt } from "./answers.ts";
import { askChannel } from "./channels.ts";
import { type Failure, ownFailure, refusal } from "./failure.ts";
import { connect, end, lose } from "./loss.ts";
import type { Allocated } from "./outputs.ts";
import { askPermission } from "./permissions.ts";
import { prolong, startKeepalive } from "./refresh.ts";
import { beginRequest, send } from "./requests.ts";
import type { ClientState } from "./state.ts";

/** RFC 8656 §7.4: after a 437 another local address is tried, but not for ever. */
const MAX_FRESH_PATHS = 3;
/** RFC 8489 §10: redirections that lead nowhere end. */
const MAX_REDIRECTIONS = 4;

export function sendAllocate(state: ClientState, challenges: number, now: Instant): void {
  const { dontFragment, families, lifetime, port, reservationToken } = state.config;
  state.phase = "allocating";
  const writer = beginRequest(state, Method.Allocate).u32(Attribute.RequestedTransport, TRANSPORT_UDP * 0x1000000);
  if (lifetime !== undefined) writer.u32(Attribute.Lifetime, lifetime);
  if (reservationToken !== undefined) writer.bytes(Attribute.ReservationToken, reservationToken);
  if (families === "ipv6") writer.u32(Attribute.RequestedAddressFamily, FAMILY_IPV6 * 0x1000000);
  if (families === "both") writer.u32(Attribute.AdditionalAddressFamily, FAMILY_IPV6 * 0x1000000);
  // RFC 8656 §7.1: whether the server can is found out here, because it drops Send indications without a word.
  if (dontFragment) writer.bytes(Attribute.DontFragment, new Uint8Array(0));
  if (port !== "any") writer.bytes(Attribute.EvenPort, Uint8Array.of(port === "pair" ? 0x80 : 0));
  send(state, { kind: "allocate" }, challenges, now);
}

export function handleAllocated(state: ClientState, view: StunView, now: Instant): void {
  const allocated = readAllocated(state, view);
  // RFC 8656 §7.3: an answer without its addresses is an error; nobody could use the allocation.
  if (allocated === undefined) return end(state, ownFailure("bad-response"));
  // A server may grant what the credentials have left, and that may be nothing.
  if (allocated.lifetime === 0) return lose(state, ownFailure("expired"), now);
  const again = state.hasLived;
  state.phase = "live";
  state.hasLived = true;
  state.retries = 0;
  state.mapped = allocated.mapped;
  state.firstLifetime = allocated.lifetime;
  state.tell({ type: "allocated", allocated, again });
  prolong(state, allocated.lifetime, now);
  startKeepalive(state, now);
  for (const channel of state.channels.values()) askChannel(state, channel, 0, now);
  for (const permission of state.permissions) {
    // A ChannelBind brings the permission with it.
    const isBrought = [...state.channels.values()].some((channel) => channel.permission === permission);
    if (!isBrought) askPermission(state, permission, 0, now);
  }
}

function readAllocated(state: ClientState, view: StunView): Allocated | undefined {
  const relayed = readAddresses(view, Attribute.XorRelayedAddress);
  const mapped = readAddresses(view, Attribute.XorMappedAddress)[0];
  const lifetime = view.u32(Attribute.Lifetime);
  if (relayed.length === 0 || relayed.length > 2 || mapped === undefined || lifetime === undefined) {
    return undefined;
  }
  const token = view.bytes(Attribute.ReservationToken);
  return {
    relayed,
    mapped,
    server: copyAddress(state.server),
    lifetime,
    reservationToken: token?.length === 8 ? copyBytes(token) : undefined,
    refusedFamily: readRefusedFamily(view),
  };
}

function readAddresses(view: StunView, type: number): Address[] {
  const found: Address[] = [];
  for (let i = 0; i < view.attributeCount; i++) {
    const address = blankAddress();
    if (view.typeAt(i) === type && view.xorAddressAt(i, address)) found.push(address);
  }
  return found;
}

/** RFC 8656 §18.12: family, reserved bits, class and number of the error. */
function readRefusedFamily(view: StunView): Allocated["refusedFamily"] {
  const value = view.bytes(Attribute.AddressErrorCode);
  if (value === undefined || value.length < 4) return undefined;
  const family = value[0] === FAMILY_IPV4 ? 4 : value[0] === FAMILY_IPV6 ? 6 : undefined;
  const code = errorCodeAt(value);
  return family === undefined || code === undefined ? undefined : { family, failure: refusal(code) };
}

export function handleNotAllocated(
  state: ClientState,
  failure: Failure,
  view: StunView | undefined,
  now: Instant,
): void {
  if (failure.reason === "try-alternate" && view !== undefined) return goElsewhere(state, failure, view, now);
  if (failure.reason === "allocation-mismatch" && state.freshPaths < MAX_FRESH_PATHS) {
    // RFC 8656 §7.4: the 5-tuple is in use, perhaps by an earlier self: another local port makes another.
    state.freshPaths++;
    return connect(state, state.server, state.domain);
  }
  lose(state, failure, now);
}

/** RFC 8489 §10: to the server that ALTERNATE-SERVER names, if it is of the same family and none that was here before. */
function goElsewhere(state: ClientState, failure: Failure, view: StunView, now: Instant): void {
  const alternate = blankAddress();
  const index = view.indexOf(Attribute.AlternateServer);
  const isUsable =
    index >= 0 && view.addressAt(index, alternate) && alternate.port !== 0 && alternate.family === state.server.family;
  state.visited.push(state.server);
  const isLoop = state.visited.length > MAX_REDIRECTIONS || state.visited.some((one) => sameAddress(one, alternate));
  // RFC 8489 §10: a domain is the name in the alternate server's certificate; without one it is as it was.
  const domain = view.has(Attribute.AlternateDomain) ? readDomain(view) : state.domain;
  const isNameless = view.has(Attribute.AlternateDomain) && domain === undefined;
  if (!isUsable || isLoop || isNameless) return lose(state, failure, now);
  connect(state, alternate, domain);
}

/** RFC 8489 §14.16: a DNS name of 255 characters or fewer. */
function readDomain(view: StunView): string | undefined {
  const domain = view.text(Attribute.AlternateDomain, 255);
  return domain !== undefined && /^[a-z\d]([a-z\d.-]*[a-z\d])?$/i.test(domain) ? domain : undefined;
}
