/** Tells who was removed or has a new password since the last look, whichever process did it. */
import type { DaemonLog } from "../log.ts";
import type { UserStore } from "./user-store.ts";

export class UserWatch implements Disposable {
  readonly #store: UserStore;
  readonly #onChange: (name: string) => void;
  readonly #log: DaemonLog;
  readonly #timer: NodeJS.Timeout;
  #seen: number;

  /** Looks every `everyMs`, and does not keep the process alive. */
  constructor(
    store: UserStore,
    onChange: (name: string) => void,
    log: DaemonLog,
    { everyMs = 1_000 }: { everyMs?: number } = {},
  ) {
    this.#store = store;
    this.#onChange = onChange;
    this.#log = log;
    this.#seen = store.newestChange;
    store.forgetChanges(this.#seen);
    this.#timer = setInterval(() => this.look(), everyMs).unref();
  }

  look(): void {
    try {
      const newest = this.#store.newestChange;
      if (newest === this.#seen) return;
      const names = this.#store.changedAfter(this.#seen);
      this.#seen = newest;
      this.#log.info({ users: names.length }, "users-changed");
      for (const name of names) this.#onChange(name);
    } catch (err) {
      this.#log.error({ err }, "users-unreadable");
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
