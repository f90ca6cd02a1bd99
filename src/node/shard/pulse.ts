/**
 * Whether a worker still comes to the end of its turns. While it waits it says so, and nobody has to wake it to be sure; at
 * work it shows another number in each turn. The main thread looks now and then, and a number that stays is a turn
 * without end. Looks are counted and not seconds: a process that was stopped, or got no processor, has not looked meanwhile.
 */

/** What a worker shows that waits, and one that has not begun. */
const WAITS = 0;

const lastNumber = 0x3fff_ffff;

export function createPulse(): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(4));
}

/** The worker's side. */
export class Pulse {
  readonly #word: Int32Array;
  #turn = 0;

  constructor(word: Int32Array) {
    this.#word = word;
  }

  /** Another turn begins. */
  beat(): void {
    this.#turn = this.#turn === lastNumber ? 1 : this.#turn + 1;
    Atomics.store(this.#word, 0, this.#turn);
  }

  rest(): void {
    Atomics.store(this.#word, 0, WAITS);
  }
}

/** The main thread's side, of one worker. */
export class PulseWatch {
  readonly #word: Int32Array;
  readonly #looks: number;
  #last = WAITS;
  #same = 0;

  /** `looks`: in so many, one after the other, a turn may be the same. */
  constructor(word: Int32Array, looks: number) {
    this.#word = word;
    this.#looks = looks;
  }

  /** Looks once; whether the worker hangs. */
  look(): boolean {
    const turn = Atomics.load(this.#word, 0);
    this.#same = turn === this.#last && turn !== WAITS ? this.#same + 1 : 0;
    this.#last = turn;
    return this.#same >= this.#looks;
  }
}
