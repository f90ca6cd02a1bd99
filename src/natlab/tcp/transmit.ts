/** What a connection sends: RFC 9293 §3.8, within the window of the receiver and that of congestion control. */
import { after } from "../../core/base/machine.ts";
import type { TcpPacket } from "../packet.ts";
import type { Block } from "./block.ts";
import { advance, distance, Flag, isBefore, type Segment, segmentHeaderLength, sequenceLength } from "./segment.ts";

const nothing = new Uint8Array(0);

export interface Ends {
  readonly source: TcpPacket["source"];
  readonly destination: TcpPacket["destination"];
}

export function tcpPacket({ source, destination }: Ends, segment: Segment, payload: Uint8Array = nothing): TcpPacket {
  return {
    protocol: "tcp",
    source,
    destination,
    segment,
    payload,
    hopLimit: 64,
    // DEVIATES RFC 9293 §3.7.2: no ICMP tells of a path's MTU here: IPv4 is cut where it must be, and IPv6 finds out by
    // silence.
    dontFragment: false,
    piece: (destination.family === 6 ? 40 : 20) + segmentHeaderLength(segment) + payload.length,
  };
}

function emit(block: Block, flags: number, sequence: number, payload?: Uint8Array): void {
  const isSyn = (flags & Flag.Syn) !== 0;
  const hasAck = block.incoming !== undefined;
  const segment: Segment = {
    sequence,
    acknowledgment: hasAck ? block.expected : 0,
    flags: hasAck ? flags | Flag.Ack : flags,
    window: block.receiveWindow,
    mss: isSyn ? block.ownMss : undefined,
  };
  block.toldWindow = segment.window;
  block.isAckDue = false;
  block.host.send(tcpPacket({ source: block.local, destination: block.remote }, segment, payload));
}

export function sendSyn(block: Block): void {
  const first = advance(block.initial, 1);
  if (block.highest === block.initial) block.roundTrip.begin(first, block.host.now);
  block.next = block.highest = first;
  block.retransmitAt ??= after(block.host.now, block.roundTrip.timeout);
  emit(block, Flag.Syn, block.initial);
}

/** RFC 9293 §3.8.6: behind what was sent, but no further than the receiver looks. */
function sequenceForControl({ highest, unacknowledged, sendWindow }: Block): number {
  const edge = advance(unacknowledged, sendWindow);
  return isBefore(edge, highest) ? edge : highest;
}

export function sendAck(block: Block): void {
  emit(block, Flag.Ack, sequenceForControl(block));
}

/** RFC 9293 §3.10.7.4 and RFC 5961 §7: an answer to what cannot be right, ten times in five seconds at most. */
export function sendChallenge(block: Block): void {
  const { now } = block.host;
  if (now >= block.challengesUntil) {
    block.challenges = 0;
    block.challengesUntil = after(now, 5000);
  }
  if (block.challenges++ < 10) sendAck(block);
}

export function sendReset(block: Block): void {
  emit(block, Flag.Rst, sequenceForControl(block));
}

/** RFC 9293 §3.5.2: what a segment that belongs to no connection is answered with. */
export function resetFor({ source, destination, segment, payload }: TcpPacket): TcpPacket {
  const isAck = (segment.flags & Flag.Ack) !== 0;
  return tcpPacket(
    { source: destination, destination: source },
    {
      sequence: isAck ? segment.acknowledgment : 0,
      acknowledgment: isAck ? 0 : advance(segment.sequence, sequenceLength(segment, payload)),
      flags: isAck ? Flag.Rst : Flag.Rst | Flag.Ack,
      window: 0,
      mss: undefined,
    },
  );
}

/** A RST in the place of `packet`, as a box on its way puts it. */
export function resetLike(packet: TcpPacket): TcpPacket {
  return tcpPacket(packet, { ...packet.segment, flags: Flag.Rst | Flag.Ack, window: 0, mss: undefined });
}

/** How many bytes the next segment carries; undefined: none is due. A FIN alone carries 0. */
function due(block: Block): number | undefined {
  const { waiting, mss } = block;
  if (waiting < 0) return undefined;
  if (waiting === 0) return block.isEnding ? 0 : undefined;
  const usable = Math.floor(Math.min(block.sendWindow, block.congestion.window)) - block.inFlight;
  const length = Math.min(mss, waiting, usable);
  if (length <= 0) return undefined;
  // RFC 9293 §3.8.6.2.1: no small segments only because the window opens slowly.
  if (length < waiting && length < mss && length < block.widestWindow / 2) return undefined;
  return length;
}

/** Sends `length` bytes at SND.NXT, and the FIN when they are the last. */
function sendPart(block: Block, length: number): void {
  const { next, outgoing } = block;
  const offset = distance(block.base, next);
  const isLast = offset + length === outgoing.length;
  const isFin = block.isEnding && isLast;
  const end = advance(next, length + (isFin ? 1 : 0));
  if (isBefore(block.highest, end)) {
    if (next === block.highest) block.roundTrip.begin(end, block.host.now);
    block.highest = end;
  }
  block.next = end;
  const flags = (isFin ? Flag.Fin : 0) | (isLast ? Flag.Psh : 0) | Flag.Ack;
  emit(block, flags, next, outgoing.read(offset, length));
}

const sending: ReadonlySet<Block["state"]> = new Set([
  "established",
  "close-wait",
  "fin-wait-1",
  "closing",
  "last-ack",
] as const);

/**
 * Sends what is due, or at least the acknowledgment that is owed.
 *
 * DEVIATES RFC 9293 §3.7.4: no Nagle algorithm; programs that carry calls turn it off.
 * DEVIATES RFC 9293 §3.8.6.3: no delayed acknowledgments; each segment is acknowledged at once, with data where there is
 * some, so that a run is easy to read.
 */
export function transmit(block: Block): void {
  if (sending.has(block.state)) {
    for (let length = due(block); length !== undefined; length = due(block)) sendPart(block, length);
    if (block.highest !== block.unacknowledged || block.waiting > 0) {
      block.retransmitAt ??= after(block.host.now, block.roundTrip.timeout);
    }
  }
  if (block.isAckDue) sendAck(block);
}

/** Sends the first unacknowledged segment again, and nothing else. */
export function resend(block: Block): void {
  const { next } = block;
  block.next = block.base;
  block.roundTrip.abandon();
  const length = Math.min(block.mss, block.outgoing.length);
  sendPart(block, length);
  if (isBefore(block.next, next)) block.next = next;
}

/** RFC 9293 §3.8.6.1: asks a closed window for one byte; a window too small to be worth it takes what fits. */
export function probe(block: Block): void {
  const length = Math.max(1, Math.min(block.mss, block.waiting, block.sendWindow));
  const { next } = block;
  sendPart(block, Math.min(length, block.waiting));
  if (block.sendWindow === 0) block.next = next;
}
