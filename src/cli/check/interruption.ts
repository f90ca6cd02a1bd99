/**
 * Ctrl-C, and the other ways to ask for the end: the first time work is wound up, the second time the process ends. Where
 * standard output has no reader any more, that asks too.
 */
import { constants } from "node:os";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export class Interruption implements Disposable {
  readonly #controller = new AbortController();
  #by: (typeof signals)[number] | undefined;

  constructor() {
    for (const name of signals) process.on(name, this.#handle);
    process.stdout.on("error", this.#handleUnread);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What a shell expects of a process that a signal has ended. */
  get exitCode(): number {
    return 128 + (this.#by === undefined ? 0 : constants.signals[this.#by]);
  }

  readonly #handle = (name: NodeJS.Signals): void => {
    const isAgain = this.#by !== undefined;
    this.#by = name as (typeof signals)[number];
    if (isAgain) process.exit(this.exitCode);
    this.#controller.abort(new Error(`interrupted by ${name}`));
  };

  readonly #handleUnread = (): void => this.#controller.abort(new Error("nobody reads standard output"));

  [Symbol.dispose](): void {
    process.stdout.off("error", this.#handleUnread);
    for (const name of signals) process.off(name, this.#handle);
  }
}
