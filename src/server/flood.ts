/** Log lines that strangers can cause at will: a few a window for each event, then one that counts the rest. */
import type { Log } from "../node/log.ts";

type Level = "debug" | "info" | "warn";

interface Window {
  written: number;
  left: number;
}

export class FloodLog {
  readonly #log: Log;
  readonly #lines: number;
  readonly #windowMs: number;
  readonly #windows: Map<string, Window> = new Map();
  #timer: NodeJS.Timeout | undefined;

  /** `lines` of each event are written in a window; further ones are counted. Events come from a fixed list. */
  constructor(log: Log, { lines = 20, windowMs = 10_000 }: { lines?: number; windowMs?: number } = {}) {
    this.#log = log;
    this.#lines = lines;
    this.#windowMs = windowMs;
  }

  write(level: Level, fields: object, event: string): void {
    const window = this.#windows.get(event) ?? { written: 0, left: 0 };
    this.#windows.set(event, window);
    this.#timer ??= setTimeout(() => this.#turn(), this.#windowMs).unref();
    if (window.written === this.#lines) {
      window.left++;
      return;
    }
    window.written++;
    this.#log[level](fields, event);
  }

  #turn(): void {
    this.#timer = undefined;
    for (const [of, { left }] of this.#windows) {
      if (left > 0) this.#log.info({ of, lines: left, seconds: this.#windowMs / 1000 }, "log-lines-left-out");
    }
    this.#windows.clear();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#turn();
  }
}
