/**
 * Which connections belong to phones that are registered. One that is no phone's any more has to register soon, or goes:
 * else whoever has a password could keep as many connections as there are.
 */
import type { BindingRecord } from "../../core/sip/registrar/binding.ts";

export class PhoneConnections {
  readonly #ofPhone: Map<string, number> = new Map();
  readonly #phones: Map<number, number> = new Map();

  /** The phone is there. Gives the connection that was its own alone before. */
  add(binding: BindingRecord): number | undefined {
    const { connection } = binding.flow;
    const key = keyOf(binding);
    if (connection === (this.#ofPhone.get(key) ?? 0)) return undefined;
    const left = this.remove(binding);
    if (connection !== 0) {
      this.#ofPhone.set(key, connection);
      this.#phones.set(connection, (this.#phones.get(connection) ?? 0) + 1);
    }
    return left;
  }

  /** The phone is gone. Gives the connection that is nobody's now. */
  remove(binding: BindingRecord): number | undefined {
    const key = keyOf(binding);
    const connection = this.#ofPhone.get(key);
    if (connection === undefined) return undefined;
    this.#ofPhone.delete(key);
    const others = (this.#phones.get(connection) ?? 1) - 1;
    if (others > 0) this.#phones.set(connection, others);
    else this.#phones.delete(connection);
    return others > 0 ? undefined : connection;
  }
}

function keyOf({ aor, contact }: BindingRecord): string {
  return `${aor}\n${contact}`;
}
