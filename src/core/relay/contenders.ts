/**
 * Those that may become a party's endpoint: each has a place in a small table by its address, and wins with three packets
 * of one source in sequence. Whoever has begun to count keeps its place for a while, so that a flood from many ports takes
 * it from nobody; the work for a packet and the memory are the same whatever comes.
 */
import { type Address, assignAddress, copyAddress, hashAddress, sameAddress } from "../base/address.ts";
import type { Instant } from "../base/machine.ts";
import { sequenceDistance } from "../rtp/sequence.ts";

const SLOTS = 128;
/** Packets of one source in sequence that make its port known. */
export const PROOF_PACKETS = 3;
/** For how long a place is kept that has counted two: five packets of speech. */
const KEPT_MS = 100;

interface Contender {
  readonly address: Address;
  ssrc: number;
  sequence: number;
  count: number;
  at: Instant;
}

export class Contenders {
  readonly #seed: number;
  readonly #slots: (Contender | undefined)[] = new Array<Contender | undefined>(SLOTS).fill(undefined);

  /** `seed`: random, so that nobody knows whose place is whose. */
  constructor(seed: number) {
    this.#seed = seed;
  }

  /** One packet that might be the party's; true when it is the one that proves it. */
  handle(from: Readonly<Address>, ssrc: number, sequence: number, now: Instant): boolean {
    const slot = hashAddress(from, this.#seed) & (SLOTS - 1);
    const there = this.#slots[slot];
    if (there === undefined) {
      this.#slots[slot] = { address: copyAddress(from), ssrc, sequence, count: 1, at: now };
      return false;
    }
    const isSame = there.ssrc === ssrc && sameAddress(there.address, from);
    if (!isSame && there.count > 1 && now - there.at < KEPT_MS) return false;
    const continues = isSame && sequenceDistance(there.sequence, sequence) === 1;
    if (!isSame) assignAddress(there.address, from);
    there.ssrc = ssrc;
    there.sequence = sequence;
    there.count = continues ? there.count + 1 : 1;
    there.at = now;
    return there.count >= PROOF_PACKETS;
  }
}
