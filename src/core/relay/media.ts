/**
 * The media lane: whose packet it is, and where it goes. Nothing is allocated for a packet, and the work for one is the
 * same whatever it is. Who may be heard is told in docs/relay.md.
 */
import { type Address, assignAddress, copyAddress, sameAddress, sameIp } from "../base/address.ts";
import { readU16, readU32, writeU32 } from "../base/bytes.ts";
import type { Instant } from "../base/machine.ts";
import { type PacketKind, packetKind } from "../rtp/demultiplex.ts";
import { isRtp, payloadTypeOf, sequenceOf, ssrcOf, timestampOf } from "../rtp/header.ts";
import { nextRtcp, rtcpSenderOf } from "../rtp/rtcp.ts";
import { MAX_DROPOUT, sequenceDistance } from "../rtp/sequence.ts";
import { handleCheck } from "./checks.ts";
import { type Component, reroute } from "./component.ts";
import { Contenders } from "./contenders.ts";
import { noteReports } from "./hearing.ts";
import type { LegStream } from "./leg.ts";
import type { PortId, RelayDrop, Route } from "./outputs.ts";
import { isPartys } from "./reach.ts";
import { isSilent, noteCarried } from "./settling.ts";
import type { RelayState } from "./state.ts";

/** How long an endpoint is silent before its source may go on from another port. */
const SILENCE_MS = 1000;
/** RFC 3550 §6.2: RTCP comes every five seconds or so; two that are missing are silence. */
const CONTROL_SILENCE_MS = 10_000;
/** A content type of DTLS. */
const HANDSHAKE = 22;
/** What tells an echo's source number from that of who is heard. */
const ECHO_SOURCE = 0x5a5a_5a5a;
/** How often a call may come back to us on its way: each time is work for every packet. */
const MAX_HOPS = 4;

export function handlePacket(
  state: RelayState,
  data: Uint8Array,
  length: number,
  from: Readonly<Address>,
  id: PortId,
  now: Instant,
): Route | undefined {
  const component = state.ports.find(id)?.component;
  if (component?.port?.id !== id) return undefined;
  const { stream } = component;
  if (stream.description === undefined) return drop(state, component, "idle");
  const { party, session } = stream.leg;
  const kind = packetKind(data, length);
  const { endpoint } = component;
  if (stream.ice !== undefined) {
    if (kind === "stun") return checked(state, component, data, length, from, now);
    // RFC 8445 §12.1: media comes by the pair that was chosen, and by no other.
    const isChecked = endpoint !== undefined && sameAddress(endpoint.address, from);
    if (!isChecked) return drop(state, component, unchecked(component, from));
  }
  if (endpoint === undefined || !sameAddress(endpoint.address, from)) {
    if (!isPartys(from, component.source, party.ranges)) {
      assignAddress(component.stranger, from);
      return drop(state, component, "stranger");
    }
    const why = unproven(state, component, kind, data, length, from, now);
    if (why !== undefined) return drop(state, component, why);
  } else {
    if (!isCarriedKind(component, kind, data, length)) return drop(state, component, "malformed");
    if (endpoint.isProvisional && kind === "rtp" && isProof(state, component, data, from, now))
      endpoint.isProvisional = false;
    endpoint.heardAt = now;
    endpoint.isQuestioned = false;
  }
  const goesOn = heard(component, kind, data, length, now);
  const out = hopped(component, kind, data, length, now);
  const route = out?.route;
  if (out?.stream.leg.party.service !== undefined) {
    session.mediaAt = now;
    return undefined;
  }
  // Where ICE has not found the party yet there is nowhere to send to.
  const isUnchecked = out?.stream.ice !== undefined && out.endpoint === undefined;
  if (out === undefined || route === undefined || isUnchecked) return drop(state, component, "no-way");
  session.mediaAt = now;
  if (out === component && !reflected(kind, data)) return undefined;
  if (component.role === "media" && kind === "rtp") noteCarried(state, component, out, goesOn, now);
  route.packets++;
  route.bytes += length;
  state.stats.packets++;
  state.stats.bytes += length;
  return route;
}

/** A packet without any hops left. A call whose media comes back again and again ends so. */
export function handleSpent(state: RelayState, id: PortId): void {
  const component = state.ports.find(id)?.component;
  if (component?.port?.id === id) drop(state, component, "hop-limit");
}

function checked(
  state: RelayState,
  component: Component,
  data: Uint8Array,
  length: number,
  from: Readonly<Address>,
  now: Instant,
): Route | undefined {
  const result = handleCheck(state, component, data.length === length ? data : data.subarray(0, length), from, now);
  return typeof result === "string" ? drop(state, component, result) : result;
}

function unchecked(component: Component, from: Readonly<Address>): RelayDrop {
  const { endpoint } = component;
  if (endpoint === undefined) return "learning";
  if (sameIp(endpoint.address, from)) return "other-port";
  assignAddress(component.stranger, from);
  return "stranger";
}

/**
 * RFC 3550 §8.2: who hears its own source number takes it for a collision or a loop, so that an echo has another. What is
 * no RTP does not go back: RTCP and handshakes speak of who sent them.
 */
function reflected(kind: PacketKind, data: Uint8Array): boolean {
  if (kind !== "rtp") return false;
  writeU32(data, 8, (ssrcOf(data) ^ ECHO_SOURCE) >>> 0);
  return true;
}

/** Whether it is RTP that goes on with what its source has sent before. */
function heard(component: Component, kind: PacketKind, data: Uint8Array, length: number, now: Instant): boolean {
  const goesOn = component.role === "media" && meter(component.stream, kind, data, now);
  if (kind === "rtcp") noteReports(component.stream, data, length, now);
  component.packets++;
  component.bytes += length;
  return goesOn;
}

/** Where the packet leaves the host: behind as many calls as it passes here, each of which must name the other. */
function hopped(
  from: Component,
  kind: PacketKind,
  data: Uint8Array,
  length: number,
  now: Instant,
): Component | undefined {
  let out = from.opposite;
  for (let hops = 0; out?.hop !== undefined; hops++) {
    const there: Component = out.hop;
    if (hops === MAX_HOPS || there.hop !== out || there.port === undefined) return undefined;
    heard(there, kind, data, length, now);
    there.stream.leg.session.mediaAt = now;
    out = there.opposite;
  }
  return out;
}

function drop(state: RelayState, component: Component, why: RelayDrop): undefined {
  component.drops[why]++;
  state.stats.drops[why]++;
  return undefined;
}

/** Whether the component carries packets of this kind. */
function isCarriedKind({ stream, role }: Component, kind: PacketKind, data: Uint8Array, length: number): boolean {
  const { description, carrier } = stream;
  if (carrier !== "rtp") return length > 0;
  switch (kind) {
    case "rtp":
      return role === "media" && isRtp(data, length);
    case "rtcp":
      return (role === "control" || stream.isMultiplexed) && nextRtcp(data, length, 0) > 0;
    case "dtls":
      return description?.certificate !== undefined;
    case "zrtp":
      return role === "media";
    default:
      return false;
  }
}

/**
 * A packet from the party's address, and not from where it is known to be. Undefined: it is carried, for it came from just
 * where the party says it is, or has proven its port.
 */
function unproven(
  state: RelayState,
  component: Component,
  kind: PacketKind,
  data: Uint8Array,
  length: number,
  from: Readonly<Address>,
  now: Instant,
): RelayDrop | undefined {
  if (!isCarriedKind(component, kind, data, length)) return "malformed";
  const { endpoint, signaled, stream } = component;
  const isWhereSaid = endpoint === undefined && signaled !== undefined && sameAddress(signaled, from);
  if (component.role === "control") return isWhereSaid ? undefined : unprovenControl(state, component, data, from, now);
  if (stream.carrier === "rtp") {
    if (kind === "dtls") return isWhereSaid ? undefined : unprovenHandshake(state, component, data, from, now);
    if (kind !== "rtp") return isWhereSaid ? undefined : "learning";
    if (!isNegotiated(stream, payloadTypeOf(data))) return "unnegotiated";
  }
  const ssrc = stream.carrier === "rtp" ? ssrcOf(data) : 0;
  const sequence = numberOf(stream, data, length);
  if (endpoint !== undefined && !mayReplace(component, from, ssrc, sequence, now)) return "other-port";
  if (contendersOf(state, component).handle(from, ssrc, sequence, now)) {
    learn(state, component, from, now);
    return undefined;
  }
  return isWhereSaid ? undefined : "learning";
}

function contendersOf(state: RelayState, component: Component): Contenders {
  component.contenders ??= new Contenders(readU32(state.random.bytes(4), 0));
  return component.contenders;
}

/** Whether that packet is the one that proves an endpoint whose handshake came before its media. */
function isProof(
  state: RelayState,
  component: Component,
  data: Uint8Array,
  from: Readonly<Address>,
  now: Instant,
): boolean {
  if (!isNegotiated(component.stream, payloadTypeOf(data))) return false;
  return contendersOf(state, component).handle(from, ssrcOf(data), sequenceOf(data), now);
}

/**
 * Behind a NAT a handshake comes before there is any media to be learned by. It is let through from the party's address, and
 * answered there, until media proves which port is the party's: a stray hello from there delays the true one, and no more.
 */
function unprovenHandshake(
  state: RelayState,
  component: Component,
  data: Uint8Array,
  from: Readonly<Address>,
  now: Instant,
): RelayDrop | undefined {
  const { endpoint } = component;
  // RFC 6347 §4.1: what begins or goes on with a handshake has content type 22.
  if (data[0] !== HANDSHAKE) return "learning";
  if (endpoint !== undefined && !endpoint.isProvisional) return "other-port";
  learn(state, component, from, now, true);
  return undefined;
}

function isNegotiated({ payloadTypes }: LegStream, type: number): boolean {
  return (((payloadTypes[type >> 5] as number) >>> (type & 31)) & 1) === 1;
}

/** What counts a stream's packets: T.38 does so in its first two bytes, what nobody knows counts by itself. */
function numberOf({ carrier, media }: LegStream, data: Uint8Array, length: number): number {
  if (carrier === "rtp") return sequenceOf(data);
  if (carrier === "udptl" && length >= 2) return readU16(data, 0);
  return (media.packets + media.drops.learning) & 0xffff;
}

/** Whether another endpoint may be learned: signaling has said so, or the same source goes on after a silence. */
function mayReplace(
  component: Component,
  from: Readonly<Address>,
  ssrc: number,
  sequence: number,
  now: Instant,
): boolean {
  const { endpoint, stream } = component;
  if (endpoint === undefined || endpoint.isQuestioned || endpoint.isProvisional) return true;
  if (now - endpoint.heardAt < SILENCE_MS || !sameIp(endpoint.address, from)) return false;
  const distance = sequenceDistance(stream.meter.highest, sequence);
  if (stream.meter.ssrc !== ssrc || distance <= 0 || distance > MAX_DROPOUT) return false;
  // Who is heard without us may have spoken meanwhile: that is known before anybody has proven itself.
  if (!isSilent(component, SILENCE_MS, now)) component.contenders = undefined;
  return true;
}

/** RTCP has no sequence: it is the party's where its media is known, and it names the source of that. */
function unprovenControl(
  state: RelayState,
  component: Component,
  data: Uint8Array,
  from: Readonly<Address>,
  now: Instant,
): RelayDrop | undefined {
  const { endpoint, stream } = component;
  const { media, meter: known } = stream;
  if (media.endpoint === undefined || !sameIp(media.endpoint.address, from)) return "learning";
  if (known.ssrc !== rtcpSenderOf(data)) return "other-port";
  const isOpen = endpoint === undefined || endpoint.isQuestioned || now - endpoint.heardAt >= CONTROL_SILENCE_MS;
  if (!isOpen) return "other-port";
  learn(state, component, from, now);
  return undefined;
}

function learn(
  state: RelayState,
  component: Component,
  from: Readonly<Address>,
  now: Instant,
  isProvisional = false,
): void {
  const { stream, role } = component;
  const isFirst = component.endpoint === undefined;
  const address = copyAddress(from);
  component.endpoint = { address, heardAt: now, isQuestioned: false, isProvisional };
  if (!isProvisional) component.contenders = undefined;
  reroute(component);
  const { leg, index } = stream;
  const [session, id] = [leg.session.id, leg.id];
  state.tell({ type: "learned", session, leg: id, stream: index, component: role, remote: address, isFirst });
}

function meter(stream: LegStream, kind: PacketKind, data: Uint8Array, now: Instant): boolean {
  if (stream.carrier === "udptl") stream.meter.handle(0, readU16(data, 0), now, now);
  if (kind !== "rtp" || stream.carrier !== "rtp") return false;
  stream.payloadType = payloadTypeOf(data);
  const timestampMs = timestampOf(data) / (stream.clockRate / 1000);
  return stream.meter.handle(ssrcOf(data), sequenceOf(data), timestampMs, now);
}
