/** SIGTERM and SIGINT ask for the end, a second one for haste; SIGHUP asks for a reload. Heard from construction on. */
export class Signals {
  readonly end: Promise<NodeJS.Signals>;
  readonly #hurry: AbortController = new AbortController();
  #reload: (() => void) | undefined;
  #reloadAsked = false;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
    this.end = promise;
    let count = 0;
    const ask = (signal: NodeJS.Signals) => {
      if (++count > 1) this.#hurry.abort();
      resolve(signal);
    };
    process.on("SIGTERM", ask).on("SIGINT", ask);
    process.on("SIGHUP", () => {
      this.#reloadAsked = true;
      this.#reload?.();
    });
  }

  get hurry(): AbortSignal {
    return this.#hurry.signal;
  }

  /** `reload` is called at once when it was asked for already. */
  onReload(reload: () => void): void {
    this.#reload = reload;
    if (this.#reloadAsked) reload();
  }
}
