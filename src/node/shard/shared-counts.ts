/**
 * Counts of allocations over all shards, in memory of a fixed size whoever comes: each shard adds to a count-min sketch of its
 * own, and a count is the sum over shards, in that row in which it is least. So a count is never too low; where others
 * share its place in every row, it is too high. Which places are whose hangs on a secret, so nobody can choose a name that
 * shares another's. A shard that has died is forgotten by emptying its sketch.
 */
import type { Address } from "../../core/base/address.ts";
import type { Crypto, HmacKey } from "../../core/base/ports.ts";
import { encodeUtf8 } from "../../core/base/utf8.ts";
import type { AllocationCounts, Counted } from "../../core/turn/server/quota.ts";

const rows = 4;
/** Places in a row. */
const width = 1 << 16;
const TOTAL = rows * width;

/** Of a shard: a mebibyte, and the total. */
export function createSketch(): SharedArrayBuffer {
  return new SharedArrayBuffer((rows * width + 1) * 4);
}

/** Main thread: the shard has died, and all its allocations with it. */
export function emptySketch(sketch: SharedArrayBuffer): void {
  new Int32Array(sketch).fill(0);
}

/** What is hashed for a user, and for a source, begins differently. */
const USER = 1;
const SOURCE = 2;

export class SharedCounts implements AllocationCounts {
  readonly #own: Int32Array;
  readonly #all: readonly Int32Array[];
  readonly #crypto: Crypto;
  readonly #key: HmacKey;

  /** `sketches`: of all shards, this one the `index`th. `key`: a secret of the process, 16 bytes or more. */
  constructor(sketches: readonly SharedArrayBuffer[], index: number, key: Uint8Array, crypto: Crypto) {
    this.#all = sketches.map((sketch) => new Int32Array(sketch));
    this.#own = this.#all[index] as Int32Array;
    this.#crypto = crypto;
    this.#key = crypto.importKey(key);
  }

  add(user: string, source: Readonly<Address>): Counted {
    Atomics.add(this.#own, TOTAL, 1);
    return {
      ofUser: this.#change(userText(user), 1),
      ofSource: this.#change(sourceText(source), 1),
      total: this.#sum(TOTAL),
    };
  }

  remove(user: string, source: Readonly<Address>): void {
    Atomics.sub(this.#own, TOTAL, 1);
    this.#change(userText(user), -1);
    this.#change(sourceText(source), -1);
  }

  /**
   * Returns the count that there is then. Every row is changed before any is looked at: of two that count at once, whoever
   * was last to change its rows sees the other in all of them.
   */
  #change(text: Uint8Array, by: 1 | -1): number {
    const hash = this.#crypto.hmacSha256(this.#key, text);
    for (let row = 0; row < rows; row++) Atomics.add(this.#own, placeIn(row, hash), by);
    let least = Number.POSITIVE_INFINITY;
    for (let row = 0; row < rows; row++) least = Math.min(least, this.#sum(placeIn(row, hash)));
    return least;
  }

  #sum(place: number): number {
    let sum = 0;
    for (const sketch of this.#all) sum += Atomics.load(sketch, place);
    return sum;
  }
}

function placeIn(row: number, hash: Uint8Array): number {
  return row * width + (hash[2 * row] as number) * 256 + (hash[2 * row + 1] as number);
}

function userText(user: string): Uint8Array {
  const name = encodeUtf8(user);
  const text = new Uint8Array(1 + name.length);
  text[0] = USER;
  text.set(name, 1);
  return text;
}

/** An IPv4 address, or an IPv6 /56. */
function sourceText({ family, w0, w1, w3 }: Readonly<Address>): Uint8Array {
  const text = new Uint8Array(12);
  const view = new DataView(text.buffer);
  text[0] = SOURCE;
  text[1] = family;
  view.setUint32(4, family === 4 ? w3 : w0);
  view.setUint32(8, family === 4 ? 0 : w1 & 0xffffff00);
  return text;
}
