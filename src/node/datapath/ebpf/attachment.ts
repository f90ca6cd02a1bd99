/** How a program comes to see what arrives on an interface. */
import { randomInt } from "node:crypto";
import { constants } from "node:os";
import { interfaceOf, linkToIngress } from "../../sys/bpf.ts";
import { SystemError } from "../../sys/system-error.ts";
import { type Filter, TrafficControl } from "../../sys/traffic-control.ts";
import { closeDescriptor } from "../../sys/udp-socket.ts";
import { bindAt } from "../../sys/unix-socket.ts";

export interface Attachment {
  /** Twice is once. Throws `SystemError`. */
  attach(interfaceIndex: number): void;
  detach(interfaceIndex: number): void;
  /** Whether it is where it was put: whoever administers the host can take it off. Throws `SystemError`. */
  isAttached(interfaceIndex: number): boolean;
  /** Nothing is attached any more when this returns. */
  close(): void;
}

export type AttachmentKind = "auto" | "tcx" | "clsact";

/** `auto`: by links, where the kernel has them. Throws `SystemError`. */
export function createAttachment(program: number, kind: AttachmentKind): Attachment {
  const hasLinks = kind === "tcx" || (kind === "auto" && knowsLinks(program));
  return hasLinks ? new TcxLinks(program) : new ClsactFilters(program);
}

/** No interface has this number. */
const nowhere = 0x7fffffff;

/** Linux 6.6 and later say what is wrong with the interface; those before, that there is no such thing to attach to. */
function knowsLinks(program: number): boolean {
  try {
    closeDescriptor(linkToIngress(program, nowhere));
    return true;
  } catch (error) {
    if (error instanceof SystemError) return error.errno !== constants.errno.EINVAL;
    throw error;
  }
}

/** Links are descriptors: they go with this process, however it ends. */
class TcxLinks implements Attachment {
  readonly #program: number;
  readonly #links: Map<number, number> = new Map();

  constructor(program: number) {
    this.#program = program;
  }

  attach(interfaceIndex: number): void {
    if (this.isAttached(interfaceIndex)) return;
    this.detach(interfaceIndex);
    this.#links.set(interfaceIndex, linkToIngress(this.#program, interfaceIndex));
  }

  detach(interfaceIndex: number): void {
    const link = this.#links.get(interfaceIndex);
    if (link === undefined) return;
    closeDescriptor(link);
    this.#links.delete(interfaceIndex);
  }

  isAttached(interfaceIndex: number): boolean {
    const link = this.#links.get(interfaceIndex);
    return link !== undefined && interfaceOf(link) === interfaceIndex;
  }

  close(): void {
    for (const index of [...this.#links.keys()]) this.detach(index);
  }
}

const names = /^postern-[0-9a-f]{8}$/;

/**
 * Filters outlive whoever made them. So each says by its name whose it is, and who that is holds the same name as a
 * socket's, which the kernel gives back when he ends, however he ends: what nobody holds is left over. It forwards nothing
 * by then, because nobody renews the lease, and whoever comes next takes it away.
 */
class ClsactFilters implements Attachment {
  readonly #program: number;
  readonly #control: TrafficControl = new TrafficControl();
  readonly #handle: number = randomInt(1, 0x7fffffff);
  readonly #name: string = `postern-${this.#handle.toString(16).padStart(8, "0")}`;
  readonly #hold: number;
  readonly #interfaces: Set<number> = new Set();

  constructor(program: number) {
    this.#program = program;
    try {
      this.#hold = hold(this.#name);
      this.#removeLeftOver();
    } catch (error) {
      this.#control.close();
      throw error;
    }
  }

  attach(interfaceIndex: number): void {
    if (this.isAttached(interfaceIndex)) return;
    this.#control.add(this.#filter(interfaceIndex), this.#program);
    this.#interfaces.add(interfaceIndex);
  }

  detach(interfaceIndex: number): void {
    if (!this.#interfaces.delete(interfaceIndex)) return;
    this.#control.remove(this.#filter(interfaceIndex));
  }

  isAttached(interfaceIndex: number): boolean {
    const isIt = (filter: Filter) => filter.interface === interfaceIndex && filter.name === this.#name;
    return this.#interfaces.has(interfaceIndex) && this.#control.find().some(isIt);
  }

  close(): void {
    for (const index of [...this.#interfaces]) this.detach(index);
    this.#control.close();
    closeDescriptor(this.#hold);
  }

  #filter(interfaceIndex: number) {
    return { interface: interfaceIndex, handle: this.#handle, name: this.#name };
  }

  #removeLeftOver(): void {
    for (const filter of this.#control.find()) {
      if (names.test(filter.name) && !isHeld(filter.name)) this.#control.remove(filter);
    }
  }
}

/** A name of the network namespace, as filters are of its interfaces. Throws `SystemError`. */
function hold(name: string): number {
  return bindAt(`\0${name}`);
}

function isHeld(name: string): boolean {
  try {
    closeDescriptor(hold(name));
    return false;
  } catch (error) {
    if (error instanceof SystemError) return true;
    throw error;
  }
}
