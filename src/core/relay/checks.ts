/**
 * Connectivity checks on the relay's ports (RFC 8445 §7.3). They are sealed with the call's passwords, and so prove whose
 * port it is better than anything else does: with ICE the address that a check has proven counts, and no other.
 *
 * A party whose checks end here meets a lite agent (§2.4). Between two parties that both speak ICE they pass, as media does:
 * to them the relay is one way among others, and the worst.
 */
import { type Address, copyAddress, sameAddress } from "../base/address.ts";
import type { Instant } from "../base/machine.ts";
import type { HmacKey } from "../base/ports.ts";
import { hasIntegritySha1 } from "../stun/integrity.ts";
import { Attribute, ErrorCode, isComprehensionRequired, MessageClass, Method } from "../stun/registry.ts";
import type { StunWriter } from "../stun/writer.ts";
import { type Component, reroute } from "./component.ts";
import type { RelayDrop, Route } from "./outputs.ts";
import { isSilent } from "./settling.ts";
import type { RelayState } from "./state.ts";

/** Two fragments of 256 characters and a colon. */
const MAX_USERNAME_BYTES = 513;
/** After so long without anything from where a party is, it may be elsewhere. */
const SILENCE_MS = 1000;

const KNOWN: readonly number[] = [
  Attribute.Username,
  Attribute.Priority,
  Attribute.UseCandidate,
  Attribute.MessageIntegrity,
  Attribute.MessageIntegritySha256,
];

/** `message`: just what came. The route by which it goes on; else why it does not, undefined where it was answered here. */
export function handleCheck(
  state: RelayState,
  component: Component,
  message: Uint8Array,
  from: Readonly<Address>,
  now: Instant,
): Route | RelayDrop | undefined {
  const { view } = state;
  if (view.decode(message) !== undefined || view.classic || view.method !== Method.Binding) return "malformed";
  switch (view.class) {
    case MessageClass.Request:
      return handleRequest(state, component, from, now);
    case MessageClass.Indication:
      return handleIndication(component, from, now);
    default:
      return handleResponse(state, component, from, now);
  }
}

function handleRequest(
  state: RelayState,
  component: Component,
  from: Readonly<Address>,
  now: Instant,
): Route | RelayDrop | undefined {
  const { view } = state;
  const { stream } = component;
  const [to, by] = view.text(Attribute.Username, MAX_USERNAME_BYTES)?.split(":", 2) ?? [];
  // DEVIATES RFC 8445 §7.3: who does not know the password is not answered: a relay's ports are sprayed.
  if (by === undefined || by !== stream.description?.ice?.ufrag) return "unsealed";
  if (stream.ice === "ends" && stream.lite !== undefined && to === stream.lite.ufrag) {
    if (!isSealed(state, stream.lite.key)) return "unsealed";
    answer(state, component, from, stream.lite.key);
    prove(state, component, from, now);
    return undefined;
  }
  const other = component.opposite?.stream;
  if (stream.ice !== "passes" || other?.key === undefined || to !== other.description?.ice?.ufrag) return "unsealed";
  if (!isSealed(state, other.key)) return "unsealed";
  return prove(state, component, from, now) ? onward(component) : "other-port";
}

function handleResponse(
  state: RelayState,
  component: Component,
  from: Readonly<Address>,
  now: Instant,
): Route | RelayDrop {
  const { stream } = component;
  // RFC 8489 §9.1.4: a response is sealed with the password that its request was.
  if (stream.ice !== "passes" || stream.key === undefined || !isSealed(state, stream.key)) return "unsealed";
  return prove(state, component, from, now) ? onward(component) : "other-port";
}

/** RFC 8445 §11: what keeps a NAT's binding open is not sealed, and proves nothing. */
function handleIndication(component: Component, from: Readonly<Address>, now: Instant): Route | RelayDrop | undefined {
  const { endpoint, stream } = component;
  if (endpoint === undefined || !sameAddress(endpoint.address, from)) return "unsealed";
  endpoint.heardAt = now;
  return stream.ice === "passes" ? onward(component) : undefined;
}

function isSealed({ view, crypto }: RelayState, key: HmacKey): boolean {
  return hasIntegritySha1(view, crypto, key);
}

function onward({ opposite }: Component): Route | RelayDrop {
  return opposite?.route ?? "no-way";
}

/** Whether the party is at that address, now that it has proven to be able to. */
function prove(state: RelayState, component: Component, from: Readonly<Address>, now: Instant): boolean {
  const { view } = state;
  const { endpoint, stream, role } = component;
  const nominated = view.has(Attribute.UseCandidate) ? (view.u32(Attribute.Priority) ?? 0) : undefined;
  if (endpoint !== undefined && sameAddress(endpoint.address, from)) {
    endpoint.heardAt = now;
    endpoint.isQuestioned = false;
    component.nominated = nominated ?? component.nominated;
    return true;
  }
  if (!mayMove(component, nominated, now)) return false;
  const isFirst = endpoint === undefined;
  component.endpoint = { address: copyAddress(from), heardAt: now, isQuestioned: false, isProvisional: false };
  component.nominated = nominated;
  reroute(component);
  const { leg, index } = stream;
  const remote = component.endpoint.address;
  state.tell({
    type: "learned",
    session: leg.session.id,
    leg: leg.id,
    stream: index,
    component: role,
    remote,
    isFirst,
  });
  return true;
}

/**
 * RFC 8445 §8.1.1: of several pairs that the party nominates the best counts, and before that the first that works. Another
 * one counts when that is silent, or a new offer was made: the party has moved.
 */
function mayMove(component: Component, nominated: number | undefined, now: Instant): boolean {
  const { endpoint, nominated: before } = component;
  if (endpoint === undefined || endpoint.isQuestioned || isSilent(component, SILENCE_MS, now)) return true;
  return nominated !== undefined && (before === undefined || nominated > before);
}

function answer(state: RelayState, component: Component, from: Readonly<Address>, key: HmacKey): void {
  const { port } = component;
  if (port === undefined) return;
  const { view, writer, crypto } = state;
  const unknown = unknownAttributes(state);
  const begin = (kind: MessageClass): StunWriter => writer.beginAnswer(view, kind);
  if (unknown.length > 0) {
    // RFC 8489 §6.3.1: what has to be understood, and is not, is told.
    begin(MessageClass.Error).errorCode(ErrorCode.UnknownAttribute).u16List(Attribute.UnknownAttributes, unknown);
  } else if (view.has(Attribute.IceControlled)) {
    // RFC 8445 §6.1.1: the full agent controls; who thinks otherwise is told.
    begin(MessageClass.Error).errorCode(ErrorCode.RoleConflict);
  } else begin(MessageClass.Success).xorAddress(Attribute.XorMappedAddress, from);
  const data = writer.integritySha1(crypto, key).fingerprint().finish();
  const route: Route = { port: port.id, remote: copyAddress(from), packets: 0, bytes: 0 };
  state.outputs.push({ kind: "media", route, data, length: data.length });
}

function unknownAttributes({ view }: RelayState): number[] {
  const unknown: number[] = [];
  for (let i = 0; i < view.attributeCount; i++) {
    const type = view.typeAt(i);
    if (isComprehensionRequired(type) && !KNOWN.includes(type)) unknown.push(type);
  }
  return unknown;
}
