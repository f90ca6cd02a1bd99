/** Outages seen in a stream of probes: when the network was away, and for how long. A lost packet or two is no outage. */
import { after, type Instant } from "../base/machine.ts";

const LOST_IN_A_ROW = 3;

export interface Outage {
  /** When the first probe was sent that was lost. */
  readonly from: Instant;
  /** When the first came back again; undefined: it lasts. */
  readonly until: Instant | undefined;
}

export class Outages {
  /** Oldest first; the last may still last. */
  readonly all: Outage[] = [];
  #lost = 0;
  #from: Instant | undefined;

  get isOut(): boolean {
    return this.#lost >= LOST_IN_A_ROW;
  }

  /** What became of the next probe; `roundTrip` is undefined when it was lost. */
  handleSettled(sentAt: Instant, roundTrip: number | undefined): void {
    if (roundTrip === undefined) return this.#handleLost(sentAt);
    if (this.isOut) this.all[this.all.length - 1] = { from: this.#from as Instant, until: after(sentAt, roundTrip) };
    this.#lost = 0;
    this.#from = undefined;
  }

  #handleLost(sentAt: Instant): void {
    this.#from ??= sentAt;
    if (++this.#lost === LOST_IN_A_ROW) this.all.push({ from: this.#from, until: undefined });
  }
}
