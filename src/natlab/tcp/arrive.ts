/** A segment arrives at a connection: RFC 9293 §3.10.7.4, in its order. */
import { after } from "../../core/base/machine.ts";
import type { TcpPacket } from "../packet.ts";
import { acknowledge } from "./acknowledge.ts";
import { arriveInSynSent } from "./arrive-syn-sent.ts";
import type { Block } from "./block.ts";
import { advance, Flag, has, isBefore, type Segment, sequenceLength } from "./segment.ts";
import { resetFor, sendAck, sendChallenge, sendSyn } from "./transmit.ts";

/** RFC 9293 §3.4.2: a segment lives two minutes at most, and TIME-WAIT lasts twice that. */
const TIME_WAIT = 240_000;

export function arrive(block: Block, packet: TcpPacket): void {
  if (block.state === "closed") return;
  if (block.state === "syn-sent") return arriveInSynSent(block, packet);
  const { payload } = packet;
  const segment = withoutKnownSyn(block, packet.segment);
  const length = sequenceLength(segment, payload);
  // First: the sequence number.
  if (!isAcceptable(block, segment.sequence, length)) return refuse(block, segment, length);
  // Second: RST.
  if (has(segment, Flag.Rst)) return handleReset(block, segment);
  // Third would be security, which nobody uses. Fourth: SYN.
  if (has(segment, Flag.Syn)) return sendChallenge(block);
  // Fifth: ACK.
  if (!has(segment, Flag.Ack)) return packet.segment === segment ? undefined : sendSyn(block);
  if (!handleAck(block, packet, segment, length === 0)) return;
  // DEVIATES RFC 9293 §3.8.5: sixth would be URG; there is no urgent data, which RFC 6093 §5 tells programs not to use.
  // Seventh and eighth: data and FIN.
  if (length > 0) takeData(block, segment, payload);
}

/** A SYN that is known already is no part of what is new: that of a simultaneous open comes twice. */
function withoutKnownSyn(block: Block, segment: Segment): Segment {
  const isKnown = block.state === "syn-received" && has(segment, Flag.Syn) && segment.sequence === block.peerInitial;
  if (!isKnown) return segment;
  return { ...segment, sequence: advance(segment.sequence, 1), flags: segment.flags & ~Flag.Syn };
}

/** RFC 9293 §3.10.7.4, table 6. */
function isAcceptable(block: Block, sequence: number, length: number): boolean {
  const { expected, receiveWindow } = block;
  const isWithin = (at: number): boolean => !isBefore(at, expected) && isBefore(at, advance(expected, receiveWindow));
  if (receiveWindow === 0) return length === 0 && sequence === expected;
  if (length === 0) return isWithin(sequence);
  return isWithin(sequence) || isWithin(advance(sequence, length - 1));
}

/** RFC 9293 §3.10.7.4: what lies outside of the window is answered with where it is. */
function refuse(block: Block, segment: Segment, length: number): void {
  if (has(segment, Flag.Rst)) return;
  if (block.state === "time-wait") block.expires = after(block.host.now, TIME_WAIT);
  if (length === 0) sendChallenge(block);
  else sendAck(block);
}

/** RFC 9293 §3.10.7.4, RFC 5961 §3.2: only a RST at exactly the next number counts; others might be blind guesses. */
function handleReset(block: Block, segment: Segment): void {
  if (segment.sequence !== block.expected) return sendChallenge(block);
  if (block.state === "time-wait") return block.close("finished");
  block.inbox = [];
  block.inboxLength = 0;
  block.close(block.state === "syn-received" ? "refused" : "reset");
}

function handleAck(block: Block, packet: TcpPacket, segment: Segment, isEmpty: boolean): boolean {
  if (block.state === "syn-received") {
    const { acknowledgment } = segment;
    if (!isBefore(block.unacknowledged, acknowledgment) || isBefore(block.highest, acknowledgment)) {
      block.host.send(resetFor(packet));
      return false;
    }
    block.state = block.isEnding ? "fin-wait-1" : "established";
  }
  if (!acknowledge(block, segment, isEmpty)) return false;
  if (block.isFinAcknowledged) handleFinAcknowledged(block);
  return block.state !== "closed";
}

function handleFinAcknowledged(block: Block): void {
  if (block.state === "fin-wait-1") block.state = "fin-wait-2";
  else if (block.state === "closing") waitForStragglers(block);
  else if (block.state === "last-ack") block.close("finished");
}

function takeData(block: Block, segment: Segment, payload: Uint8Array): void {
  const { incoming } = block;
  block.isAckDue = true;
  if (incoming === undefined || block.hasFinArrived) return;
  if (has(segment, Flag.Fin)) block.finAt = advance(segment.sequence, payload.length);
  for (const bytes of incoming.push(segment.sequence, payload)) {
    block.inbox.push(bytes);
    block.inboxLength += bytes.length;
  }
  if (block.finAt === incoming.next) handleFin(block);
}

function handleFin(block: Block): void {
  block.hasFinArrived = true;
  if (block.state === "established") block.state = "close-wait";
  else if (block.state === "fin-wait-1") block.state = "closing";
  else if (block.state === "fin-wait-2") waitForStragglers(block);
}

function waitForStragglers(block: Block): void {
  block.state = "time-wait";
  block.closeReason = "finished";
  block.retransmitAt = undefined;
  block.expires = after(block.host.now, TIME_WAIT);
}
