/** The bytes that a connection was given to send and that the far side has not acknowledged. */

export class SendQueue {
  readonly #chunks: Uint8Array[] = [];
  /** Bytes of the first chunk that are acknowledged. */
  #skipped = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Appends bytes that belong to the queue from now on. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** A copy of `length` bytes from `offset` on. */
  read(offset: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    let skip = this.#skipped + offset;
    let filled = 0;
    for (const chunk of this.#chunks) {
      if (filled === length) break;
      if (skip >= chunk.length) {
        skip -= chunk.length;
        continue;
      }
      const part = chunk.subarray(skip, skip + length - filled);
      out.set(part, filled);
      filled += part.length;
      skip = 0;
    }
    return out;
  }

  /** Forgets the first `count` bytes. */
  drop(count: number): void {
    this.#length -= count;
    this.#skipped += count;
    for (let first = this.#chunks[0]; first !== undefined && this.#skipped >= first.length; first = this.#chunks[0]) {
      this.#skipped -= first.length;
      this.#chunks.shift();
    }
  }
}
