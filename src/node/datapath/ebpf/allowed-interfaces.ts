/** The interfaces that the operator leaves to a helper, by name: who asks it knows numbers, and an interface may get another. */
import { Routes } from "../../sys/routes.ts";

export class AllowedInterfaces {
  readonly #names: readonly string[];
  readonly #known: Routes | undefined;

  /** `names`: none leaves it every one. Throws `SystemError`. */
  constructor(names: readonly string[] = []) {
    this.#names = names;
    this.#known = names.length === 0 ? undefined : new Routes(names);
  }

  /** Why the interface of this number is not among them; undefined: it is. */
  refusalOf(index: number): string | undefined {
    if (this.#known === undefined) return undefined;
    // What was named so may have gone, and its name may be another's now.
    this.#known.haveChanged();
    if (this.#known.named.includes(index)) return undefined;
    return `interface ${index} is none that the helper may use (--interfaces ${this.#names.join(",")})`;
  }

  close(): void {
    this.#known?.close();
  }
}
