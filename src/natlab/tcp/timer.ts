/**
 * One deadline of a connection on virtual time. It moves with every acknowledgment, nearly always to later; so the
 * appointment stays where it is, and looks when it comes whether it is time.
 */
import type { Instant } from "../../core/base/machine.ts";
import type { Agenda, Appointment } from "../agenda.ts";

export class Timer {
  readonly #agenda: Agenda;
  readonly #onDue: () => void;
  #deadline: Instant | undefined;
  #wake: Appointment | undefined;

  constructor(agenda: Agenda, onDue: () => void) {
    this.#agenda = agenda;
    this.#onDue = onDue;
  }

  follow(deadline: Instant | undefined): void {
    this.#deadline = deadline;
    if (deadline === undefined || (this.#wake !== undefined && deadline < this.#wake.at)) {
      this.#wake?.cancel();
      this.#wake = undefined;
    }
    if (deadline !== undefined) this.#wake ??= this.#agenda.at(deadline, () => this.#look());
  }

  #look(): void {
    this.#wake = undefined;
    const deadline = this.#deadline;
    if (deadline === undefined) return;
    if (deadline > this.#agenda.now) return this.follow(deadline);
    this.#deadline = undefined;
    this.#onDue();
  }
}
