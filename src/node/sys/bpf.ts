/**
 * bpf(2): maps, programs and links, which are descriptors. They go when the last one who holds them does, so nothing is
 * left behind by a process that ends, however it ends.
 */
import { constants } from "node:os";
import {
  BPF_ELEMENT_ATTR,
  BPF_INFO_ATTR,
  BPF_LINK_ATTR,
  BPF_LINK_CREATE,
  BPF_LINK_INFO,
  BPF_MAP_ATTR,
  BPF_MAP_CREATE,
  BPF_MAP_DELETE_ELEM,
  BPF_MAP_LOOKUP_ELEM,
  BPF_MAP_UPDATE_ELEM,
  BPF_OBJ_GET_INFO_BY_FD,
  BPF_PROG_LOAD,
  BPF_PROG_TYPE_SCHED_CLS,
  BPF_PROGRAM_ATTR,
  syscallNumbers,
} from "./layout.ts";
import { libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";
import { noteOpened } from "./open-descriptors.ts";
import { orThrow, SystemError } from "./system-error.ts";
import { closeDescriptor } from "./udp-socket.ts";

const { ENOENT } = constants.errno;

/** More than any command takes of it; what a kernel does not know has to be zero, and is. */
const attributesSize = 128;

/** Kernel 6.6 and later; the headers of older ones do not name it. */
const BPF_TCX_INGRESS = 46;

/** More than is read of it. */
const linkInfoRoom = 64;

const logSize = 1 << 20;

const call = syscallNumbers(process.arch).bpf;
let shared: NativeMemory | undefined;

/** Of one call at a time; all zero. */
export function bpfAttributes(): NativeMemory {
  shared ??= new NativeMemory("bpf attributes", attributesSize);
  shared.bytes.fill(0);
  return shared;
}

/** What the command returns, or minus errno. */
export function bpf(command: number, attributes: NativeMemory): number {
  return libc().syscall(call, command, attributes.address, attributesSize);
}

function putName({ bytes }: NativeMemory, at: number, name: string): void {
  // At most 15 bytes and a zero.
  new TextEncoder().encodeInto(name.slice(0, 15), bytes.subarray(at, at + 15));
}

export interface BpfMapShape {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly entries: number;
}

/** A descriptor of a new map. Throws `SystemError`. */
export function createMap(name: string, { type, keySize, valueSize, entries }: BpfMapShape): number {
  const attributes = bpfAttributes();
  const { u32 } = attributes;
  u32[BPF_MAP_ATTR.type >> 2] = type;
  u32[BPF_MAP_ATTR.keySize >> 2] = keySize;
  u32[BPF_MAP_ATTR.valueSize >> 2] = valueSize;
  u32[BPF_MAP_ATTR.entries >> 2] = entries;
  putName(attributes, BPF_MAP_ATTR.name, name);
  return noteOpened(orThrow("bpf(BPF_MAP_CREATE)", bpf(BPF_MAP_CREATE, attributes)));
}

/** One key and one value at a time: they are written into `key` and `value`, or read from there. */
export class BpfMap {
  readonly descriptor: number;
  readonly key: NativeMemory;
  /** Of a map that has a value for each CPU: all of them, each in a place whose size is a multiple of eight. */
  readonly value: NativeMemory;
  /** A map's address is written down once; calls differ in nothing but the command. */
  readonly #attributes: NativeMemory;

  /** `descriptor` is this map's from now on. `copies`: how many values are read of one key. */
  constructor(name: string, descriptor: number, { keySize, valueSize }: BpfMapShape, copies = 1) {
    this.descriptor = descriptor;
    this.key = new NativeMemory(`key of map ${name}`, keySize);
    this.value = new NativeMemory(`value of map ${name}`, ((valueSize + 7) & ~7) * copies);
    this.#attributes = new NativeMemory(`attributes of map ${name}`, attributesSize);
    this.#attributes.u32[BPF_ELEMENT_ATTR.map >> 2] = this.descriptor;
    this.#attributes.putPointer(BPF_ELEMENT_ATTR.key, this.key.address);
  }

  /** Throws `SystemError`, `E2BIG` when the map is full. */
  put(): void {
    this.#attributes.putPointer(BPF_ELEMENT_ATTR.value, this.value.address);
    orThrow("bpf(BPF_MAP_UPDATE_ELEM)", bpf(BPF_MAP_UPDATE_ELEM, this.#attributes));
  }

  /** False when there is none of this key. Throws `SystemError`. */
  read(): boolean {
    this.#attributes.putPointer(BPF_ELEMENT_ATTR.value, this.value.address);
    return this.#found("bpf(BPF_MAP_LOOKUP_ELEM)", BPF_MAP_LOOKUP_ELEM);
  }

  /** False when there was none of this key. Throws `SystemError`. */
  remove(): boolean {
    this.#attributes.putPointer(BPF_ELEMENT_ATTR.value, 0);
    return this.#found("bpf(BPF_MAP_DELETE_ELEM)", BPF_MAP_DELETE_ELEM);
  }

  close(): void {
    closeDescriptor(this.descriptor);
    for (const memory of [this.key, this.value, this.#attributes]) memory.release();
  }

  #found(what: string, command: number): boolean {
    const result = bpf(command, this.#attributes);
    if (result === -ENOENT) return false;
    orThrow(what, result);
    return true;
  }
}

/** The verifier refused a program; the end of what it said is the message's end. */
export class VerifierError extends SystemError {
  readonly log: string;

  constructor(errno: number, log: string) {
    super("bpf(BPF_PROG_LOAD)", errno);
    this.log = log;
    const last = log.trimEnd().split("\n").slice(-3).join("; ");
    if (last !== "") this.message += `: ${last}`;
  }
}

/** A descriptor of a program for packets. Throws `SystemError`, `VerifierError`. */
export function loadPacketProgram(name: string, instructions: Uint8Array, license: string): number {
  const code = new NativeMemory("instructions", instructions.length);
  const words = new NativeMemory("license", license.length + 1);
  const log = new NativeMemory("the verifier's log", logSize);
  try {
    code.bytes.set(instructions);
    new TextEncoder().encodeInto(license, words.bytes);
    const attributes = bpfAttributes();
    attributes.u32[BPF_PROGRAM_ATTR.type >> 2] = BPF_PROG_TYPE_SCHED_CLS;
    attributes.u32[BPF_PROGRAM_ATTR.instructionCount >> 2] = instructions.length / 8;
    attributes.putPointer(BPF_PROGRAM_ATTR.instructions, code.address);
    attributes.putPointer(BPF_PROGRAM_ATTR.license, words.address);
    putName(attributes, BPF_PROGRAM_ATTR.name, name);
    const loaded = bpf(BPF_PROG_LOAD, attributes);
    if (loaded >= 0) return noteOpened(loaded);
    // Once more for the verifier's words: writing them takes it much longer.
    attributes.u32[BPF_PROGRAM_ATTR.logLevel >> 2] = 1;
    attributes.u32[BPF_PROGRAM_ATTR.logSize >> 2] = logSize;
    attributes.putPointer(BPF_PROGRAM_ATTR.log, log.address);
    const again = bpf(BPF_PROG_LOAD, attributes);
    if (again >= 0) return noteOpened(again);
    throw new VerifierError(-again, new TextDecoder().decode(log.bytes.subarray(0, log.bytes.indexOf(0))));
  } finally {
    for (const memory of [code, words, log]) memory.release();
  }
}

/**
 * A descriptor of a link, by which the program sees what comes in on an interface, until it is closed. Needs Linux 6.6.
 * Throws `SystemError`.
 */
export function linkToIngress(program: number, interfaceIndex: number): number {
  const attributes = bpfAttributes();
  attributes.u32[BPF_LINK_ATTR.program >> 2] = program;
  attributes.u32[BPF_LINK_ATTR.interface >> 2] = interfaceIndex;
  attributes.u32[BPF_LINK_ATTR.attachType >> 2] = BPF_TCX_INGRESS;
  return noteOpened(orThrow("bpf(BPF_LINK_CREATE)", bpf(BPF_LINK_CREATE, attributes)));
}

/**
 * The interface that a link is on; 0 where somebody has taken the program off, or the interface is gone. Throws
 * `SystemError`.
 */
export function interfaceOf(link: number): number {
  const info = new NativeMemory("what a link is", linkInfoRoom);
  try {
    const attributes = bpfAttributes();
    attributes.u32[BPF_INFO_ATTR.descriptor >> 2] = link;
    attributes.u32[BPF_INFO_ATTR.length >> 2] = linkInfoRoom;
    attributes.putPointer(BPF_INFO_ATTR.info, info.address);
    orThrow("bpf(BPF_OBJ_GET_INFO_BY_FD)", bpf(BPF_OBJ_GET_INFO_BY_FD, attributes));
    return info.u32[BPF_LINK_INFO.interface >> 2] as number;
  } finally {
    info.release();
  }
}
