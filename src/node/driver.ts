/**
 * Drives one machine: mutate once, drain fully, re-arm one timer. Only a driver calls a machine, and it gives every
 * input its time. An input that comes while outputs are carried out mutates at once, and what it asks for joins the
 * queue that is being drained.
 *
 * A machine that throws has broken an invariant of its own. That costs the input, never the process.
 */
import type { Instant, Machine } from "../core/base/machine.ts";
import { Alarm } from "./alarm.ts";
import { monotonicNow } from "./clock.ts";

export interface DriverHost<Output> {
  /** Carries out one output. */
  perform(output: Output): void;
  /** Hears of an exception from the machine, or from `perform`. */
  handleFailure(cause: unknown): void;
}

export class Driver<M extends Machine<Output>, Output> {
  protected readonly machine: M;
  protected readonly now: () => Instant;
  protected stopped = false;
  readonly #host: DriverHost<Output>;
  readonly #alarm: Alarm;
  #draining = false;

  constructor(machine: M, host: DriverHost<Output>, now: () => Instant = monotonicNow) {
    this.machine = machine;
    this.now = now;
    this.#host = host;
    this.#alarm = new Alarm(() => this.input(handleTimeout), now);
  }

  /** One input of the rare kind. */
  input(mutate: (machine: M, now: Instant) => void): void {
    if (this.stopped) return;
    try {
      mutate(this.machine, this.now());
    } catch (cause) {
      this.fail(cause);
    }
    this.settle();
  }

  /** Inputs do nothing from now on. */
  stop(): void {
    this.stopped = true;
    this.#alarm.stop();
  }

  protected fail(cause: unknown): void {
    this.#host.handleFailure(cause);
  }

  /** What follows every input. */
  protected settle(): void {
    if (this.#draining) return;
    this.#draining = true;
    for (let output = this.machine.pollOutput(); output !== undefined; output = this.machine.pollOutput()) {
      try {
        this.#host.perform(output);
      } catch (cause) {
        this.fail(cause);
      }
    }
    this.#draining = false;
    if (!this.stopped) this.#alarm.follow(this.machine.pollTimeout());
  }
}

function handleTimeout(machine: Machine<unknown>, now: Instant): void {
  machine.handleTimeout(now);
}
