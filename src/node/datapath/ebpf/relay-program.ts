/** The program in the kernel, its maps, and the interfaces on which it sees what comes in. */
import { readFileSync } from "node:fs";
import { BpfMap, linkToIngress, loadPacketProgram } from "../../sys/bpf.ts";
import { closeDescriptor } from "../../sys/udp-socket.ts";
import { INSTRUCTIONS, LICENSE, MAPS, RELOCATIONS } from "./program.ts";

type MapName = keyof typeof MAPS;

/** Of an instruction that loads a map, the lower half of the second byte is the register, the upper the kind of address. */
const BPF_PSEUDO_MAP_FD = 0x10;

/** Map types whose values are one for each CPU. */
const PERCPU_ARRAY = 6;

/** How many CPUs the kernel keeps a value for: those that could be there. */
export function possibleCpus(text: string = readFileSync("/sys/devices/system/cpu/possible", "utf8")): number {
  return Number(text.trim().split(/[-,]/).at(-1)) + 1;
}

export class RelayProgram {
  readonly descriptor: number;
  readonly cpus: number = possibleCpus();
  readonly maps: Readonly<Record<MapName, BpfMap>>;
  readonly #links: Map<number, number> = new Map();

  /** Throws `SystemError`: `EPERM` without the privilege; `VerifierError` is one. */
  constructor() {
    const made: Partial<Record<MapName, BpfMap>> = {};
    try {
      for (const name of Object.keys(MAPS) as MapName[]) {
        made[name] = new BpfMap(name, MAPS[name], MAPS[name].type === PERCPU_ARRAY ? this.cpus : 1);
      }
      this.maps = made as Record<MapName, BpfMap>;
      this.descriptor = loadPacketProgram("relay", this.#relocated(), LICENSE);
    } catch (error) {
      for (const map of Object.values(made)) map.close();
      throw error;
    }
  }

  #relocated(): Uint8Array {
    const instructions = Buffer.from(INSTRUCTIONS, "base64");
    for (const { instruction, map } of RELOCATIONS) {
      const at = 8 * instruction;
      instructions[at + 1] = (instructions[at + 1]! & 0x0f) | BPF_PSEUDO_MAP_FD;
      instructions.writeInt32LE(this.maps[map].descriptor, at + 4);
    }
    return instructions;
  }

  /** From now on the program sees what comes in there. Throws `SystemError`. */
  attach(interfaceIndex: number): void {
    if (!this.#links.has(interfaceIndex)) {
      this.#links.set(interfaceIndex, linkToIngress(this.descriptor, interfaceIndex));
    }
  }

  /** From now on it does not, on any interface that is not among these. */
  keepAttached(wanted: ReadonlySet<number>): void {
    for (const [index, link] of this.#links) {
      if (wanted.has(index)) continue;
      closeDescriptor(link);
      this.#links.delete(index);
    }
  }

  /** Nothing is attached any more when this returns. */
  close(): void {
    this.keepAttached(new Set());
    closeDescriptor(this.descriptor);
    for (const map of Object.values(this.maps)) map.close();
  }
}
