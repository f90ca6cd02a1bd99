/** A segment arrives while a SYN of our own is on its way: RFC 9293 §3.10.7.3. */
import type { TcpPacket } from "../packet.ts";
import { acknowledge, tellWindow } from "./acknowledge.ts";
import type { Block } from "./block.ts";
import { Reassembly } from "./reassembly.ts";
import { advance, Flag, has, isBefore, type Segment } from "./segment.ts";
import { resetFor, sendSyn } from "./transmit.ts";

export function arriveInSynSent(block: Block, packet: TcpPacket): void {
  const { segment } = packet;
  const isAck = has(segment, Flag.Ack);
  if (isAck && segment.acknowledgment !== block.highest) {
    if (!has(segment, Flag.Rst)) block.host.send(resetFor(packet));
    return;
  }
  if (has(segment, Flag.Rst)) return isAck ? block.close("refused") : undefined;
  if (!has(segment, Flag.Syn)) return;
  takeSyn(block, segment);
  if (isAck) {
    block.state = block.isEnding ? "fin-wait-1" : "established";
    acknowledge(block, segment, true);
    block.isAckDue = true;
  } else {
    // RFC 9293 §3.5, figure 7: both sides have opened at the same time.
    block.state = "syn-received";
    sendSyn(block);
  }
}

/**
 * The far side's SYN: where its bytes begin, and how much it takes.
 *
 * DEVIATES RFC 9293 §3.10.7.2: data in a SYN is not kept; whoever sent it sends it again.
 */
export function takeSyn(block: Block, segment: Segment): void {
  block.peerInitial = segment.sequence;
  block.incoming = new Reassembly(advance(segment.sequence, 1));
  if (segment.mss !== undefined) block.peerMss = Math.max(1, segment.mss);
  tellWindow(block, segment);
  if (isBefore(block.windowAcknowledgment, block.unacknowledged)) block.windowAcknowledgment = block.unacknowledged;
}
