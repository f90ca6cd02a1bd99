/**
 * Where an INVITE brings no offer, a response to it does, and a PRACK or the ACK answers that (RFC 3261 §13.2.1, RFC 3262
 * §5). A later PRACK may offer anew, and a response that comes again offers nothing: so it is noted, for each dialog, whose
 * offer waits. Where else offers and answers stand, the message alone tells (RFC 6337 §2).
 */
import { detached } from "../base/detached.ts";
import type { CallSide } from "./call.ts";

/** A call has no more dialogs; a response within one may bear any tag. */
const MOST = 128;

interface LateOffer {
  readonly by: CallSide;
  isAnswered: boolean;
}

/** Of one call. `tag`: the called side's, of the dialog. */
export class LateOffers {
  readonly #offers: Map<string, LateOffer> = new Map();

  /** Whether there was none. */
  get isEmpty(): boolean {
    return this.#offers.size === 0;
  }

  /** Another INVITE begins: what comes in its responses is new. */
  begin(tag: string): void {
    this.#offers.delete(tag);
  }

  note(tag: string, by: CallSide): void {
    if (this.#offers.size >= MOST || this.#offers.has(tag)) return;
    this.#offers.set(detached(tag), { by, isAnswered: false });
  }

  /** Whether what is said to `by` now is the answer that it waits for; it is, once. */
  takeAnswer(tag: string, by: CallSide): boolean {
    const offer = this.#offers.get(tag);
    if (offer === undefined || offer.isAnswered || offer.by !== by) return false;
    offer.isAnswered = true;
    return true;
  }
}
