/**
 * Notices that files changed, by looking at them: what watches by events loses a file that is replaced, or a directory
 * that is mounted over, which is how certificates and secrets change.
 */
import { statSync } from "node:fs";

export class FileWatch implements Disposable {
  readonly #files: () => readonly string[];
  readonly #timer: NodeJS.Timeout;
  #seen: string;

  /** `files` is asked each time. Does not keep the process alive. */
  constructor(files: () => readonly string[], onChange: () => void, { everyMs = 2_000 }: { everyMs?: number } = {}) {
    this.#files = files;
    this.#seen = this.#look();
    this.#timer = setInterval(() => {
      const now = this.#look();
      if (now === this.#seen) return;
      this.#seen = now;
      onChange();
    }, everyMs).unref();
  }

  /** What is there now is no change. */
  settle(): void {
    this.#seen = this.#look();
  }

  #look(): string {
    return this.#files().map(fingerprint).join("\n");
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** What cannot be looked at, because it is gone or out of reach, looks like its error: that it changed is told too. */
function fingerprint(path: string): string {
  try {
    const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${path} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch (error) {
    return `${path} ${(error as NodeJS.ErrnoException).code}`;
  }
}
