/** What the acknowledgment in a segment does (RFC 9293 §3.10.7.4, fifth), and repair of loss (RFC 5681, RFC 6582). */
import { after } from "../../core/base/machine.ts";
import type { Block } from "./block.ts";
import { distance, isBefore, type Segment } from "./segment.ts";
import { resend, sendChallenge } from "./transmit.ts";

/** Whether the rest of the segment counts. */
export function acknowledge(block: Block, segment: Segment, isEmpty: boolean): boolean {
  const { acknowledgment } = segment;
  if (isBefore(block.highest, acknowledgment)) {
    sendChallenge(block);
    return false;
  }
  if (isBefore(block.unacknowledged, acknowledgment)) advanceTo(block, acknowledgment);
  else if (acknowledgment === block.unacknowledged) repeat(block, segment, isEmpty);
  updateWindow(block, segment);
  return true;
}

function advanceTo(block: Block, acknowledgment: number): void {
  const { now } = block.host;
  const { timedUntil } = block.roundTrip;
  if (timedUntil !== undefined && !isBefore(acknowledgment, timedUntil)) block.roundTrip.finish(now);
  block.roundTrip.recover();
  const bytes = take(block, acknowledgment);
  repair(block, bytes);
  block.timeouts = 0;
  block.giveUpAt = undefined;
  // RFC 6298 §5.2, §5.3: off when all is acknowledged, else anew.
  block.retransmitAt = block.highest === acknowledgment ? undefined : after(now, block.roundTrip.timeout);
}

/** Moves SND.UNA; returns how many bytes of data that acknowledges. */
function take(block: Block, acknowledgment: number): number {
  let count = distance(block.unacknowledged, acknowledgment);
  if (!block.isSynAcknowledged) {
    block.isSynAcknowledged = true;
    count--;
  }
  const bytes = Math.min(count, block.outgoing.length);
  block.outgoing.drop(bytes);
  if (count > bytes) block.isFinAcknowledged = true;
  block.unacknowledged = acknowledgment;
  if (isBefore(block.next, acknowledgment)) block.next = acknowledgment;
  return bytes;
}

function repair(block: Block, bytes: number): void {
  const { congestion, mss } = block;
  if (block.recovery === undefined) {
    block.duplicates = 0;
    if (bytes > 0) congestion.acknowledge(bytes, mss);
  } else if (isBefore(block.unacknowledged, block.recovery)) {
    // RFC 6582 §3.2: a partial acknowledgment tells of the next hole.
    congestion.acknowledgePart(bytes, mss);
    if (block.outgoing.length > 0) resend(block);
  } else {
    block.recovery = undefined;
    block.duplicates = 0;
    congestion.deflate();
  }
}

/** RFC 5681 §2: what counts as a duplicate. */
function repeat(block: Block, segment: Segment, isEmpty: boolean): void {
  const isDuplicate = isEmpty && block.inFlight > 0 && segment.window === block.sendWindow && block.outgoing.length > 0;
  if (!isDuplicate) {
    if (block.sendWindow === 0) handleClosedWindow(block);
    return;
  }
  block.duplicates++;
  if (block.recovery !== undefined) block.congestion.inflate(block.mss);
  else if (block.duplicates === 3) {
    block.congestion.halve(block.inFlight, block.mss);
    block.recovery = block.highest;
    resend(block);
  }
}

/** A receiver that keeps its window closed lives, and nothing is lost on the way to it. */
function handleClosedWindow(block: Block): void {
  block.giveUpAt = undefined;
  block.timeouts = 0;
}

function updateWindow(block: Block, segment: Segment): void {
  const { windowSequence, windowAcknowledgment } = block;
  const isNewer =
    isBefore(windowSequence, segment.sequence) ||
    (windowSequence === segment.sequence && !isBefore(segment.acknowledgment, windowAcknowledgment));
  if (!isNewer) return;
  tellWindow(block, segment);
}

/** The far side says how much it takes. */
export function tellWindow(block: Block, segment: Segment): void {
  block.sendWindow = segment.window;
  block.widestWindow = Math.max(block.widestWindow, segment.window);
  block.windowSequence = segment.sequence;
  block.windowAcknowledgment = segment.acknowledgment;
}
