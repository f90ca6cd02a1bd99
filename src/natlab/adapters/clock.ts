/** A clock in the shape that programs know, on virtual time: give it to what takes `setTimeout` and the like. */
import { after } from "../../core/base/machine.ts";
import type { Appointment } from "../agenda.ts";
import type { World } from "../world.ts";

type Action = (...args: readonly unknown[]) => void;

/** As Node's: `ref`, `unref` and `hasRef` are there and mean nothing, for virtual time keeps no process alive. */
export class VirtualTimer {
  #next: Appointment | undefined;

  /** The clock's business. */
  follow(next: Appointment | undefined): void {
    this.#next?.cancel();
    this.#next = next;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }
}

/** At least a millisecond, as Node's: a program that calls itself without delay must not stop time. */
function delay(ms: number): number {
  return Math.max(ms || 1, 1);
}

export class VirtualClock {
  readonly #world: World;
  readonly #origin: number;

  /** `origin`: the milliseconds that `now` says when the world begins, such as a Unix time. */
  constructor(world: World, origin = 0) {
    this.#world = world;
    this.#origin = origin;
  }

  /** Milliseconds. Its methods need no `this`, so that they can be passed on. */
  readonly now = (): number => this.#origin + this.#world.now;

  readonly setTimeout = (action: Action, ms = 0, ...args: readonly unknown[]): VirtualTimer =>
    this.#once(delay(ms), action, args);

  readonly setInterval = (action: Action, ms = 0, ...args: readonly unknown[]): VirtualTimer => {
    const timer = new VirtualTimer();
    const arm = (): void => {
      const due = after(this.#world.now, delay(ms));
      timer.follow(
        this.#world.at(due, () => {
          arm();
          action(...args);
        }),
      );
    };
    arm();
    return timer;
  };

  readonly setImmediate = (action: Action, ...args: readonly unknown[]): VirtualTimer => this.#once(0, action, args);

  readonly clearTimeout = (timer: VirtualTimer | undefined): void => timer?.follow(undefined);

  readonly clearInterval = (timer: VirtualTimer | undefined): void => timer?.follow(undefined);

  readonly clearImmediate = (timer: VirtualTimer | undefined): void => timer?.follow(undefined);

  #once(ms: number, action: Action, args: readonly unknown[]): VirtualTimer {
    const timer = new VirtualTimer();
    timer.follow(this.#world.at(after(this.#world.now, ms), () => action(...args)));
    return timer;
  }
}
