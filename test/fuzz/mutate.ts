/** Mutations of real messages: what a hostile or a broken sender would do to them. */
import type { SeededRandom } from "../support/crypto.ts";

const BYTES = [0x00, 0x01, 0x03, 0x04, 0x08, 0x20, 0x2e, 0x3a, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xfe, 0xff];
const WORDS = [
  0, 1, 2, 3, 4, 5, 7, 8, 16, 18, 20, 32, 36, 508, 509, 763, 764, 0x4000, 0x4fff, 0x7fff, 0x8000, 0xfffc, 0xffff,
];
/** Lengths stay near a datagram's, so that a run is about messages and not about memory. */
const MAX_LENGTH = 2048;

type Mutation = (input: Uint8Array, random: SeededRandom, others: readonly Uint8Array[]) => Uint8Array;

/** A random stretch of `bytes`, short ones more often. */
function stretch(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const at = random.below(bytes.length + 1);
  const length = random.below(random.pick([2, 5, 9, 25, bytes.length + 1]));
  return bytes.subarray(at, at + length);
}

function inserted(input: Uint8Array, at: number, piece: Uint8Array): Uint8Array {
  const out = new Uint8Array(input.length + piece.length);
  out.set(input.subarray(0, at));
  out.set(piece, at);
  out.set(input.subarray(at), at + piece.length);
  return out;
}

function changed(input: Uint8Array, change: (out: Uint8Array, at: number) => void, random: SeededRandom): Uint8Array {
  // Not its `slice`, which of a Buffer is a view: every later input would be made from a broken seed.
  const out = new Uint8Array(input);
  if (out.length > 0) change(out, random.below(out.length));
  return out;
}

function withWord(out: Uint8Array, at: number, value: number): void {
  out[at & ~1] = value >>> 8;
  if ((at & ~1) + 1 < out.length) out[(at & ~1) + 1] = value;
}

const mutations: readonly Mutation[] = [
  // a bit, a byte, a byte's neighbour, a length or a type
  (input, random) => changed(input, (out, at) => void (out[at] = (out[at] as number) ^ (1 << random.below(8))), random),
  (input, random) => changed(input, (out, at) => void (out[at] = random.pick(BYTES)), random),
  (input, random) => changed(input, (out, at) => void (out[at] = (out[at] as number) + random.below(9) - 4), random),
  (input, random) => changed(input, (out, at) => withWord(out, at, random.pick(WORDS)), random),
  (input, random) => changed(input, (out, at) => withWord(out, at, out.length - random.below(28)), random),
  // truncation, growth, holes, repetition, splices
  (input, random) => input.slice(0, random.below(input.length + 1)),
  (input, random) => inserted(input, input.length, random.bytes(random.below(9))),
  (input, random) => inserted(input, random.below(input.length + 1), random.bytes(random.below(9))),
  (input, random) => {
    const hole = stretch(input, random);
    const from = hole.byteOffset - input.byteOffset;
    return inserted(input.slice(0, from), from, input.subarray(from + hole.length));
  },
  (input, random) => inserted(input, random.below(input.length + 1), stretch(input, random)),
  (input, random, others) => inserted(input, random.below(input.length + 1), stretch(random.pick(others), random)),
  (input, random, others) => {
    const other = random.pick(others);
    const cut = random.below(input.length + 1) & ~3;
    return inserted(input.slice(0, cut), cut, other.subarray(random.below(other.length + 1) & ~3));
  },
];

/** One of `seeds` after none to several mutations. */
export function mutated(seeds: readonly Uint8Array[], random: SeededRandom): Uint8Array {
  let input = random.pick(seeds);
  for (let rounds = random.below(random.pick([2, 4, 10])); rounds > 0; rounds--) {
    input = random.pick(mutations)(input, random, seeds);
  }
  return input.length > MAX_LENGTH ? input.slice(0, MAX_LENGTH) : input;
}
