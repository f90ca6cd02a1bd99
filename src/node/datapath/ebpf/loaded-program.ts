/**
 * The program in the kernel, and the interfaces on which it sees what comes in: the part that takes a privilege. The maps
 * by which it is told what to forward are descriptors, and whoever has them needs none.
 */
import { createMap, loadPacketProgram } from "../../sys/bpf.ts";
import { Netfilter } from "../../sys/netfilter.ts";
import { closeDescriptor } from "../../sys/udp-socket.ts";
import { type Attachment, type AttachmentKind, createAttachment } from "./attachment.ts";
import type { PrivilegedFilter } from "./host-rules.ts";
import { INSTRUCTIONS, LICENSE, MAPS, RELOCATIONS } from "./program.ts";

export type MapName = keyof typeof MAPS;

/** In the order in which their descriptors are handed over. */
export const mapNames = Object.keys(MAPS) as readonly MapName[];

/** Whoever holds the program and attaches it: this process, or another. */
export interface ProgramHolder {
  /** In the order of their names; the user's to close. */
  readonly maps: readonly number[];
  /** The host's own. */
  readonly filter: PrivilegedFilter;
  /** From now on the program sees what comes in there; twice is once. Throws `SystemError`. */
  attach(interfaceIndex: number): void;
  /** From now on it does not. */
  detach(interfaceIndex: number): void;
  /** Whether the program is still where it was attached. Throws `SystemError`. */
  isAttached(interfaceIndex: number): boolean;
  /** Whether it still does what it is told. */
  isThere(): boolean;
  /** Nothing is attached any more when this returns, if it is there. */
  close(): void;
}

/** Of an instruction that loads a map, the lower half of the second byte is the register, the upper the kind of address. */
const BPF_PSEUDO_MAP_FD = 0x10;

export class LoadedProgram implements ProgramHolder {
  readonly descriptor: number;
  readonly maps: readonly number[];
  readonly filter: Netfilter = new Netfilter();
  readonly #attachment: Attachment;

  /** Throws `SystemError`: `EPERM` without the privilege; `VerifierError` is one. */
  constructor(kind: AttachmentKind = "auto") {
    const made: number[] = [];
    try {
      for (const name of mapNames) made.push(createMap(name, MAPS[name]));
      this.maps = [...made];
      this.descriptor = loadPacketProgram("relay", relocated(made), LICENSE);
      made.push(this.descriptor);
      this.#attachment = createAttachment(this.descriptor, kind);
    } catch (error) {
      for (const descriptor of made) closeDescriptor(descriptor);
      this.filter.close();
      throw error;
    }
  }

  attach(interfaceIndex: number): void {
    this.#attachment.attach(interfaceIndex);
  }

  detach(interfaceIndex: number): void {
    this.#attachment.detach(interfaceIndex);
  }

  isAttached(interfaceIndex: number): boolean {
    return this.#attachment.isAttached(interfaceIndex);
  }

  isThere(): boolean {
    return true;
  }

  close(): void {
    this.#attachment.close();
    closeDescriptor(this.descriptor);
    this.filter.close();
  }
}

/** The instructions, which name maps by their descriptors. */
function relocated(maps: readonly number[]): Uint8Array {
  const instructions = Buffer.from(INSTRUCTIONS, "base64");
  for (const { instruction, map } of RELOCATIONS) {
    const at = 8 * instruction;
    instructions[at + 1] = (instructions[at + 1]! & 0x0f) | BPF_PSEUDO_MAP_FD;
    instructions.writeInt32LE(maps[mapNames.indexOf(map)]!, at + 4);
  }
  return instructions;
}
