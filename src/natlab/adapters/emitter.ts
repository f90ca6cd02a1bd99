/** The little of an event emitter that programs use on sockets. An `error` that nobody listens for is not thrown. */

interface Entry<Args extends readonly unknown[]> {
  readonly listener: (...args: Args) => void;
  readonly isOnce: boolean;
}

/** `Events`: of each event, what its listeners are called with. */
export class Emitter<Events extends Record<keyof Events, readonly unknown[]>> {
  #entries: { [K in keyof Events]?: readonly Entry<Events[K]>[] } = {};

  on<K extends keyof Events>(event: K, listener: (...args: Events[K]) => void): this {
    return this.#add(event, { listener, isOnce: false });
  }

  once<K extends keyof Events>(event: K, listener: (...args: Events[K]) => void): this {
    return this.#add(event, { listener, isOnce: true });
  }

  addListener<K extends keyof Events>(event: K, listener: (...args: Events[K]) => void): this {
    return this.on(event, listener);
  }

  off<K extends keyof Events>(event: K, listener: (...args: Events[K]) => void): this {
    const entries = this.#entries[event] ?? [];
    const at = entries.findLastIndex((one) => one.listener === listener);
    if (at >= 0) this.#entries[event] = entries.toSpliced(at, 1);
    return this;
  }

  removeListener<K extends keyof Events>(event: K, listener: (...args: Events[K]) => void): this {
    return this.off(event, listener);
  }

  removeAllListeners(event?: keyof Events): this {
    if (event === undefined) this.#entries = {};
    else delete this.#entries[event];
    return this;
  }

  listenerCount(event: keyof Events): number {
    return this.#entries[event]?.length ?? 0;
  }

  /** Calls the listeners in the order in which they came; false when there are none. */
  emit<K extends keyof Events>(event: K, ...args: Events[K]): boolean {
    const entries = this.#entries[event] ?? [];
    for (const entry of entries) {
      if (entry.isOnce) this.#entries[event] = this.#entries[event]?.filter((one) => one !== entry) ?? [];
      entry.listener(...args);
    }
    return entries.length > 0;
  }

  #add<K extends keyof Events>(event: K, entry: Entry<Events[K]>): this {
    this.#entries[event] = [...(this.#entries[event] ?? []), entry];
    return this;
  }
}
