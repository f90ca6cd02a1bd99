/**
 * Unix sockets that keep messages apart (SOCK_SEQPACKET), and hand over descriptors. Node's own do neither. Everything is one
 * call that returns at once, or within the time that the socket was given.
 */
import { constants } from "node:os";
import {
  AF_UNIX,
  CMSGHDR,
  IOVEC,
  MSG_CMSG_CLOEXEC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSG_PEEK,
  MSG_TRUNC,
  MSGHDR,
  SCM_RIGHTS,
  SO_PEERCRED,
  SO_RCVTIMEO,
  SO_SNDTIMEO,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SOCKADDR_UN,
  SOL_SOCKET,
  TIMEVAL,
  UCRED,
} from "./layout.ts";
import { libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";
import { noteOpened } from "./open-descriptors.ts";
import { orThrow, SystemError } from "./system-error.ts";
import { closeDescriptor } from "./udp-socket.ts";

const { EAGAIN, EINTR, ENAMETOOLONG, EMSGSIZE } = constants.errno;

/** No message is longer, in bytes, and none has more descriptors. */
export const MESSAGE_ROOM = 512;
export const DESCRIPTOR_ROOM = 32;

const vectorAt = MSGHDR.size;
const controlAt = vectorAt + IOVEC.size;
const dataAt = controlAt + CMSGHDR.data + 4 * DESCRIPTOR_ROOM;
/** An address or an option's value is where the data of a message is. */
const lengthAt = dataAt + MESSAGE_ROOM;

/** Of one call at a time. */
let shared: NativeMemory | undefined;

function scratch(): NativeMemory {
  shared ??= new NativeMemory("unix socket arguments", lengthAt + 4);
  return shared;
}

function open(): number {
  return noteOpened(orThrow("socket", libc().socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
}

/** Writes the address; returns its length. A path that begins with a zero is a name of the network namespace. */
function writePath(path: string): number {
  const memory = scratch();
  const text = new TextEncoder().encode(path);
  if (text.length >= SOCKADDR_UN.size - SOCKADDR_UN.path) throw new SystemError("bind", ENAMETOOLONG);
  memory.bytes.fill(0, dataAt, dataAt + SOCKADDR_UN.size);
  memory.u16[(dataAt + SOCKADDR_UN.family) >> 1] = AF_UNIX;
  memory.bytes.set(text, dataAt + SOCKADDR_UN.path);
  return SOCKADDR_UN.path + text.length + (text[0] === 0 ? 0 : 1);
}

/** Two sockets that are connected to each other. Throws `SystemError`. */
export function openSocketPair(): readonly [number, number] {
  const memory = scratch();
  const type = SOCK_SEQPACKET | SOCK_CLOEXEC;
  orThrow("socketpair", libc().socketpair(AF_UNIX, type, 0, memory.address + dataAt));
  return [memory.u32[dataAt >> 2] as number, memory.u32[(dataAt >> 2) + 1] as number];
}

/** Who may wait to be accepted: every thread of a daemon may come at once. */
const backlog = 128;

/** A socket that others connect to; it never blocks. Throws `SystemError`. */
export function listenAt(path: string): number {
  const socket = bindAt(path);
  const listening = libc().listen(socket, backlog);
  if (listening < 0) closeDescriptor(socket);
  orThrow("listen", listening);
  return socket;
}

/** A socket that does nothing but hold this name. Throws `SystemError`, `EADDRINUSE` when another does. */
export function bindAt(path: string): number {
  const socket = open();
  try {
    const length = writePath(path);
    orThrow("bind", libc().bind(socket, scratch().address + dataAt, length));
    return socket;
  } catch (error) {
    closeDescriptor(socket);
    throw error;
  }
}

/** The next that has connected; undefined where there is none. */
export function accept(listener: number): number | undefined {
  const socket = libc().accept4(listener, 0, 0, SOCK_CLOEXEC);
  return socket < 0 ? undefined : socket;
}

/**
 * A socket that never blocks. Throws `SystemError`: `EAGAIN` where somebody listens, and has let more wait than there is room
 * for.
 */
export function connectTo(path: string): number {
  const socket = open();
  try {
    const length = writePath(path);
    orThrow("connect", libc().connect(socket, scratch().address + dataAt, length));
    return socket;
  } catch (error) {
    closeDescriptor(socket);
    throw error;
  }
}

/** From now on no call takes longer. Throws `SystemError`. */
export function setPatience(socket: number, patienceMs: number): void {
  const memory = scratch();
  memory.bytes.fill(0, dataAt, dataAt + TIMEVAL.size);
  memory.u32[(dataAt + TIMEVAL.seconds) >> 2] = Math.floor(patienceMs / 1_000);
  memory.u32[(dataAt + TIMEVAL.microseconds) >> 2] = (patienceMs % 1_000) * 1_000;
  for (const option of [SO_RCVTIMEO, SO_SNDTIMEO]) {
    orThrow("setsockopt", libc().setsockopt(socket, SOL_SOCKET, option, memory.address + dataAt, TIMEVAL.size));
  }
}

/** The user who opened the other end, as the kernel knows it. Throws `SystemError`. */
export function peerUser(socket: number): number {
  const memory = scratch();
  memory.u32[lengthAt >> 2] = UCRED.size;
  const { address } = memory;
  orThrow("getsockopt", libc().getsockopt(socket, SOL_SOCKET, SO_PEERCRED, address + dataAt, address + lengthAt));
  return memory.u32[(dataAt + UCRED.uid) >> 2] as number;
}

/** A datagram to whoever listens at the path. Throws `SystemError`. */
export function notify(path: string, text: string): void {
  const socket = orThrow("socket", libc().socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  try {
    const length = writePath(path);
    orThrow("connect", libc().connect(socket, scratch().address + dataAt, length));
    sendMessage(socket, { bytes: new TextEncoder().encode(text), descriptors: [] });
  } finally {
    closeDescriptor(socket);
  }
}

export interface UnixMessage {
  readonly bytes: Uint8Array;
  /** The receiver's to close. */
  readonly descriptors: readonly number[];
}

/** Lays out a message of so many bytes and so much room for descriptors. */
function layOut(length: number, controlLength: number): NativeMemory {
  const memory = scratch();
  memory.bytes.fill(0, 0, dataAt);
  memory.putPointer(MSGHDR.vectors, memory.address + vectorAt);
  memory.u32[MSGHDR.vectorCount >> 2] = 1;
  memory.putPointer(vectorAt + IOVEC.base, memory.address + dataAt);
  memory.u32[(vectorAt + IOVEC.length) >> 2] = length;
  if (controlLength === 0) return memory;
  memory.putPointer(MSGHDR.control, memory.address + controlAt);
  memory.u32[MSGHDR.controlLength >> 2] = controlLength;
  return memory;
}

/** Throws `SystemError`: `EPIPE` when nobody is there, `EAGAIN` when it takes too long. */
export function sendMessage(socket: number, { bytes, descriptors }: UnixMessage, waits = true): void {
  if (bytes.length > MESSAGE_ROOM || descriptors.length > DESCRIPTOR_ROOM) throw new SystemError("sendmsg", EMSGSIZE);
  const length = descriptors.length === 0 ? 0 : CMSGHDR.data + 4 * descriptors.length;
  const memory = layOut(bytes.length, (length + 7) & ~7);
  if (length > 0) {
    memory.u32[(controlAt + CMSGHDR.length) >> 2] = length;
    memory.u32[(controlAt + CMSGHDR.level) >> 2] = SOL_SOCKET;
    memory.u32[(controlAt + CMSGHDR.type) >> 2] = SCM_RIGHTS;
    memory.u32.set(descriptors, (controlAt + CMSGHDR.data) >> 2);
  }
  memory.bytes.set(bytes, dataAt);
  orThrow("sendmsg", libc().sendmsg(socket, memory.address, MSG_NOSIGNAL | (waits ? 0 : MSG_DONTWAIT)));
}

/**
 * The next message; undefined when the other end is closed, `"nothing"` when there is none (yet). Without `descriptorRoom`
 * no descriptor can be handed over: the kernel closes them. Throws `SystemError`, `EMSGSIZE` when one is too long.
 */
export function receiveMessage(
  socket: number,
  { waits, descriptorRoom = 0 }: { readonly waits: boolean; readonly descriptorRoom?: number },
): UnixMessage | "nothing" | undefined {
  const control = descriptorRoom === 0 ? 0 : (CMSGHDR.data + 4 * descriptorRoom + 7) & ~7;
  const memory = layOut(MESSAGE_ROOM, control);
  const flags = MSG_CMSG_CLOEXEC | (waits ? 0 : MSG_DONTWAIT);
  const received = libc().recvmsg(socket, memory.address, flags);
  if (received === -EAGAIN || received === -EINTR) return "nothing";
  orThrow("recvmsg", received);
  const descriptors = receivedDescriptors(memory);
  if (received === 0 && descriptors.length === 0) return undefined;
  if (((memory.u32[MSGHDR.flags >> 2] as number) & MSG_TRUNC) !== 0) {
    for (const descriptor of descriptors) closeDescriptor(descriptor);
    throw new SystemError("recvmsg", EMSGSIZE);
  }
  return { bytes: memory.bytes.slice(dataAt, dataAt + received), descriptors };
}

function receivedDescriptors(memory: NativeMemory): number[] {
  const { u32 } = memory;
  if ((u32[MSGHDR.controlLength >> 2] as number) < CMSGHDR.size) return [];
  const isRights =
    u32[(controlAt + CMSGHDR.level) >> 2] === SOL_SOCKET && u32[(controlAt + CMSGHDR.type) >> 2] === SCM_RIGHTS;
  if (!isRights) return [];
  const count = ((u32[(controlAt + CMSGHDR.length) >> 2] as number) - CMSGHDR.data) / 4;
  const first = (controlAt + CMSGHDR.data) >> 2;
  return [...u32.subarray(first, first + count)].map(noteOpened);
}

/** Whether the other end is still open; says nothing of what waits to be read. */
export function isConnected(socket: number): boolean {
  const memory = layOut(1, 0);
  const received = libc().recvmsg(socket, memory.address, MSG_PEEK | MSG_DONTWAIT);
  return received > 0 || received === -EAGAIN || received === -EINTR;
}
