/**
 * One deadline of a connection on virtual time. It moves with every acknowledgment, nearly always to later; so the
 * appointment stays where it is, and may come before its time.
 */
import type { Instant } from "../../core/base/machine.ts";
import type { Agenda, Appointment } from "../agenda.ts";

export class Timer {
  readonly #agenda: Agenda;
  readonly #onDue: () => void;
  #wake: Appointment | undefined;

  /** `onDue` is called at the deadline, and may be called before: it does nothing then but `follow`. */
  constructor(agenda: Agenda, onDue: () => void) {
    this.#agenda = agenda;
    this.#onDue = onDue;
  }

  follow(deadline: Instant | undefined): void {
    if (deadline === undefined || (this.#wake !== undefined && deadline < this.#wake.at)) {
      this.#wake?.cancel();
      this.#wake = undefined;
    }
    if (deadline === undefined) return;
    this.#wake ??= this.#agenda.at(deadline, () => {
      this.#wake = undefined;
      this.#onDue();
    });
  }
}
