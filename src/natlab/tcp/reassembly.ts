/** Puts the bytes of a stream in order, each once, however its segments come: for receivers, and for who looks on. */
import { advance, distance, isBefore } from "./segment.ts";

interface Piece {
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

export class Reassembly {
  /** What came too early, by sequence number. Pieces may overlap. */
  #early: Piece[] = [];
  /** The sequence number of the next byte in order. */
  next: number;

  constructor(next: number) {
    this.next = next;
  }

  /** Takes the bytes at `sequence`; returns what is in order now and was not before. */
  push(sequence: number, bytes: Uint8Array): Uint8Array[] {
    if (bytes.length === 0) return [];
    if (isBefore(this.next, sequence)) {
      this.#keep({ sequence, bytes });
      return [];
    }
    const ordered: Uint8Array[] = [];
    this.#take({ sequence, bytes }, ordered);
    for (
      let [first] = this.#early;
      first !== undefined && !isBefore(this.next, first.sequence);
      [first] = this.#early
    ) {
      this.#early.shift();
      this.#take(first, ordered);
    }
    return ordered;
  }

  #keep(piece: Piece): void {
    const at = this.#early.findIndex(({ sequence }) => isBefore(piece.sequence, sequence));
    this.#early.splice(at < 0 ? this.#early.length : at, 0, piece);
  }

  #take({ sequence, bytes }: Piece, ordered: Uint8Array[]): void {
    const known = distance(sequence, this.next);
    if (known >= bytes.length) return;
    ordered.push(known === 0 ? bytes : bytes.subarray(known));
    this.next = advance(sequence, bytes.length);
  }
}
