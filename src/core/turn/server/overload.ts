/**
 * What is given up when more comes than can be served. The shell says with each datagram how full the queue is that it
 * came out of; media and requests have a queue each. Sessions come first: their refreshes are served whatever else there
 * is, strangers are dropped early and cheaply, and new allocations are refused while it lasts.
 */
import { after, type Instant } from "../../base/machine.ts";

/** How full a queue is when the first strangers are dropped, and when all of them are: what is left is for sessions. */
export const CROWDED_FROM = 0.5;
export const ALL_DROPPED_FROM = 0.9;

/** A queue that is full for less time is a burst. */
const LASTING_MS = 100;
/** What was said longer ago says nothing about now. */
const FRESH_MS = 250;

/** Whether one queue is filled faster than it is emptied. */
class Backlog {
  #since: Instant | undefined;
  #seen: Instant = Number.NEGATIVE_INFINITY as Instant;

  note(fill: number, now: Instant): void {
    if (now > after(this.#seen, FRESH_MS)) this.#since = undefined;
    this.#seen = now;
    if (fill < CROWDED_FROM) this.#since = undefined;
    else this.#since ??= now;
  }

  isLasting(now: Instant): boolean {
    if (this.#since === undefined || now > after(this.#seen, FRESH_MS)) return false;
    return now >= after(this.#since, LASTING_MS);
  }
}

export class Overload {
  readonly #requests: Backlog = new Backlog();
  readonly #media: Backlog = new Backlog();
  /** Of a stranger, how much of it is due to be dropped. */
  #owed = 0;

  noteRequest(fill: number, now: Instant): void {
    this.#requests.note(fill, now);
  }

  noteMedia(fill: number, now: Instant): void {
    this.#media.note(fill, now);
  }

  /** Whether the stranger at hand is dropped: every so many, the more the fuller the queue is. */
  dropsStranger(fill: number): boolean {
    if (fill < CROWDED_FROM) return false;
    this.#owed += Math.min(1, (fill - CROWDED_FROM) / (ALL_DROPPED_FROM - CROWDED_FROM));
    if (this.#owed < 1) return false;
    this.#owed -= 1;
    return true;
  }

  /** RFC 8656 §7.2 (12): a server that is short of anything refuses what would need more of it. */
  refusesAllocations(now: Instant): boolean {
    return this.#requests.isLasting(now) || this.#media.isLasting(now);
  }
}
