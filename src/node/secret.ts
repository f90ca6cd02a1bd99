/** A secret that cannot be printed by accident: every way to text gives `[secret]`, and only `reveal` gives it away. */
import { inspect } from "node:util";

const printed = "[secret]";

export class Secret<T extends string | Uint8Array = string> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** The secret itself. Every call is a place to look at in a review. */
  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return printed;
  }

  toJSON(): string {
    return printed;
  }
}

// Not a method, because a declaration cannot name a symbol of another module (isolatedDeclarations).
Object.defineProperty(Secret.prototype, inspect.custom, { value: () => printed });
