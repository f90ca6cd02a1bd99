/** The program in the kernel as its user sees it: maps to write and read, and interfaces on which it looks at what comes in. */
import { readFileSync } from "node:fs";
import { BpfMap } from "../../sys/bpf.ts";
import type { PrivilegedFilter } from "./host-rules.ts";
import { type MapName, mapNames, type ProgramHolder } from "./loaded-program.ts";
import { MAPS } from "./program.ts";

/** Map types whose values are one for each CPU. */
const PERCPU_ARRAY = 6;

/** How many CPUs the kernel keeps a value for: those that could be there. */
export function possibleCpus(text: string = readFileSync("/sys/devices/system/cpu/possible", "utf8")): number {
  return Number(text.trim().split(/[-,]/).at(-1)) + 1;
}

export class RelayProgram {
  readonly cpus: number = possibleCpus();
  readonly maps: Readonly<Record<MapName, BpfMap>>;
  readonly filter: PrivilegedFilter;
  readonly #holder: ProgramHolder;
  readonly #attached: Set<number> = new Set();
  #hasLeft = false;

  /** `holder` is the program's from now on. */
  constructor(holder: ProgramHolder) {
    this.#holder = holder;
    this.filter = holder.filter;
    const maps = mapNames.map((name, i) => {
      const copies = MAPS[name].type === PERCPU_ARRAY ? this.cpus : 1;
      return [name, new BpfMap(name, holder.maps[i]!, MAPS[name], copies)];
    });
    this.maps = Object.fromEntries(maps) as Record<MapName, BpfMap>;
  }

  /** Whether anything can be attached and detached. The maps are here as long as this is. */
  isHeld(): boolean {
    return !this.#hasLeft && this.#holder.isThere();
  }

  /** From now on the program sees what comes in there. Throws `SystemError`. */
  attach(interfaceIndex: number): void {
    if (this.#attached.has(interfaceIndex)) return;
    this.#holder.attach(interfaceIndex);
    this.#attached.add(interfaceIndex);
  }

  /** Where somebody else has taken it off. Throws `SystemError`. */
  lost(): number[] {
    return [...this.#attached].filter((index) => !this.#holder.isAttached(index));
  }

  /** It is lost there: the next who attaches it attaches it anew. Throws `SystemError`. */
  forget(interfaceIndex: number): void {
    this.#attached.delete(interfaceIndex);
    this.#holder.detach(interfaceIndex);
  }

  /** From now on it does not, on any interface that is not among these. Throws `SystemError`. */
  keepAttached(wanted: ReadonlySet<number>): void {
    for (const index of this.#attached) {
      if (wanted.has(index)) continue;
      this.#attached.delete(index);
      this.#holder.detach(index);
    }
  }

  /** Nothing is attached any more when this returns. The maps can be read until it is closed. */
  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#holder.close();
  }

  close(): void {
    this.leave();
    for (const map of Object.values(this.maps)) map.close();
  }
}
