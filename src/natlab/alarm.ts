/** A clock for machines: one timer on virtual time that follows a deadline. It fires at the deadline, never early. */
import type { Instant } from "../core/base/machine.ts";
import type { Agenda, Appointment } from "./agenda.ts";

export class Alarm {
  readonly #agenda: Agenda;
  readonly #onDue: () => void;
  #set: Appointment | undefined;

  constructor(agenda: Agenda, onDue: () => void) {
    this.#agenda = agenda;
    this.#onDue = onDue;
  }

  /** Fires at `deadline` and at no other time; with undefined, not at all. */
  follow(deadline: Instant | undefined): void {
    if (this.#set !== undefined && this.#set.at === deadline) return;
    this.stop();
    if (deadline === undefined) return;
    this.#set = this.#agenda.at(deadline, () => {
      this.#set = undefined;
      this.#onDue();
    });
  }

  stop(): void {
    this.#set?.cancel();
    this.#set = undefined;
  }
}
