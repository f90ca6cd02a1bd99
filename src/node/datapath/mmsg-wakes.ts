/**
 * When the `mmsg` datapath looks at its sockets: whenever one of them has something, or, under load, when the wake delay is
 * over. A tenth of the CPU time would go into the way through Node's loop, which could watch a timer meanwhile. So between
 * looks it waits in the loop's place where nobody else has anything to do, and gives way to it every two milliseconds.
 */
import { monotonicNow } from "../clock.ts";
import type { ThreadLoop, Watch } from "../sys/readiness.ts";
import { Timer } from "../sys/timer.ts";
import { Pace } from "./pace.ts";

/** How long others may have to wait for their turn, in milliseconds. */
const longestStay = 2;

export class MmsgWakes {
  readonly #loop: ThreadLoop;
  readonly #watch: Watch;
  readonly #timer: Timer = new Timer();
  readonly #timerWatch: Watch;
  readonly #pace: Pace;
  readonly #delay: number;
  readonly #look: () => number;
  readonly #turn = (): void => this.#takeTurn();
  /** Whether the next look is the timer's to say, or ours, and not the sockets'. */
  #isPaced = false;
  #isTimerSet = false;
  #mustGiveWay = false;
  #isClosed = false;

  /** `sockets` can be read when `look` finds something; it says how many packets. Throws `SystemError`. */
  constructor(loop: ThreadLoop, sockets: number, wakeDelay: number, look: () => number) {
    this.#loop = loop;
    this.#delay = wakeDelay;
    this.#pace = new Pace(wakeDelay);
    this.#look = look;
    this.#watch = loop.watch(sockets, this.#turn);
    this.#timerWatch = loop.watch(this.#timer.descriptor, this.#turn);
  }

  /** Whether what is left behind waits for the wake delay. */
  get isPaced(): boolean {
    return this.#isPaced;
  }

  /** Whether the process must stay alive. */
  hold(isNeeded: boolean): void {
    for (const watch of [this.#watch, this.#timerWatch]) {
      if (isNeeded) watch.ref();
      else watch.unref();
    }
  }

  /** What this look has found may leave others something to do: promises, and what Node does before anything else. */
  giveWay(): void {
    this.#mustGiveWay = true;
  }

  close(): void {
    this.#isClosed = true;
    this.#watch.close();
    this.#timerWatch.close();
    this.#timer.close();
  }

  #takeTurn(): void {
    const end = monotonicNow() + longestStay;
    for (;;) {
      this.#mustGiveWay = false;
      const packets = this.#look();
      if (this.#isClosed) return;
      const now = monotonicNow();
      if (!this.#pace.handleLook(packets, now)) return this.#watchSockets();
      this.#stopWatching();
      if (this.#mustGiveWay || now + this.#delay / 1_000 > end) return this.#setTimer(this.#delay);
      this.#setTimer(0);
      if (!this.#loop.pause(this.#delay)) return this.#setTimer(this.#leftSince(now));
    }
  }

  #watchSockets(): void {
    this.#setTimer(0);
    if (this.#isPaced) this.#watch.start();
    this.#isPaced = false;
  }

  #stopWatching(): void {
    if (!this.#isPaced) this.#watch.stop();
    this.#isPaced = true;
  }

  /** Microseconds; 0: never. */
  #setTimer(delay: number): void {
    if (delay > 0 || this.#isTimerSet) this.#timer.set(delay);
    this.#isTimerSet = delay > 0;
  }

  #leftSince(look: number): number {
    return Math.max(1, this.#delay - Math.floor((monotonicNow() - look) * 1_000));
  }
}
