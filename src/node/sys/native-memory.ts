/**
 * Memory that native code reads and writes. An ArrayBuffer of its own never moves, and is held here, under a name, until
 * it is released: nothing depends on whether somebody in JavaScript still looks at it.
 */
import { availableForeign } from "./libc.ts";

const held = new Set<NativeMemory>();

export class NativeMemory {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  /** Of the first byte. */
  readonly address: number;

  /** `size` is rounded up to a multiple of four. Everything is zero. */
  constructor(name: string, size: number) {
    const buffer = new ArrayBuffer((size + 3) & ~3);
    this.name = name;
    this.bytes = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.address = Number(availableForeign().address(this.bytes));
    held.add(this);
  }

  /** Writes an address at byte `at`, a multiple of four. */
  putPointer(at: number, address: number): void {
    this.u32[at >> 2] = address >>> 0;
    this.u32[(at >> 2) + 1] = address / 0x1_0000_0000;
  }

  /** The memory may be collected; native code must not know it any more. */
  release(): void {
    held.delete(this);
  }
}

/** What is held now, by name. */
export function heldMemory(): string[] {
  return [...held].map(({ name }) => name);
}
