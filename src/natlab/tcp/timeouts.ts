/** What happens when nothing is acknowledged for too long (RFC 6298 §5, RFC 9293 §3.8.3). */
import { after, type Instant } from "../../core/base/machine.ts";
import type { Block } from "./block.ts";
import { probe, resend, sendReset, sendSyn } from "./transmit.ts";

/** RFC 9293 §3.8.3: R2 is at least 100 seconds. */
const PATIENCE = 100_000;

/** When `expire` is to be called. */
export function deadlineOf({ retransmitAt, giveUpAt }: Block): Instant | undefined {
  if (retransmitAt === undefined) return undefined;
  return giveUpAt !== undefined && giveUpAt < retransmitAt ? giveUpAt : retransmitAt;
}

export function expire(block: Block): void {
  const { now } = block.host;
  if (block.giveUpAt !== undefined && now >= block.giveUpAt) {
    if (block.state !== "syn-sent") sendReset(block);
    return block.close("timed-out");
  }
  if (block.retransmitAt === undefined || now < block.retransmitAt) return;
  block.timeouts++;
  block.roundTrip.expire();
  block.retransmitAt = after(now, block.roundTrip.timeout);
  if (block.state === "syn-sent" || block.state === "syn-received") return sendSyn(block);
  block.giveUpAt ??= after(now, PATIENCE);
  if (block.highest === block.unacknowledged || block.sendWindow === 0) probe(block);
  else beginAgain(block);
}

/** All that was on its way is taken for lost. */
function beginAgain(block: Block): void {
  block.congestion.expire(block.inFlight, block.mss, block.timeouts > 1);
  block.duplicates = 0;
  block.recovery = undefined;
  // RFC 4821 §7.7: silence may be a path that large segments do not fit; the smallest assumption is tried.
  if (block.timeouts >= 2) block.mssLimit = block.local.family === 6 ? 1220 : 536;
  block.next = block.base;
  resend(block);
}
