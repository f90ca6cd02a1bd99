/** Sockets on which the kernel is asked of its network and told about it, and how their messages are written. */
import { AF_NETLINK, NETLINK_ROUTE, RTATTR, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW, SOCKADDR_NL } from "./layout.ts";
import { libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";
import { noteOpened } from "./open-descriptors.ts";
import { orThrow } from "./system-error.ts";
import { closeDescriptor } from "./udp-socket.ts";

/** A socket that never blocks; `groups`: what it hears of without asking. Throws `SystemError`. */
export function openNetlink(groups: number, protocol: number = NETLINK_ROUTE): number {
  const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const socket = noteOpened(orThrow("socket", libc().socket(AF_NETLINK, type, protocol)));
  const memory = new NativeMemory("netlink address", SOCKADDR_NL.size);
  memory.u16[SOCKADDR_NL.family >> 1] = AF_NETLINK;
  memory.u32[SOCKADDR_NL.groups >> 2] = groups;
  const bound = libc().bind(socket, memory.address, SOCKADDR_NL.size);
  memory.release();
  if (bound < 0) closeDescriptor(socket);
  orThrow("bind", bound);
  return socket;
}

export interface Attribute {
  readonly type: number;
  /** Where its value is. */
  readonly at: number;
  readonly size: number;
}

/** What stands one behind the other in `[from, end)`. */
export function* attributesIn(view: DataView, from: number, end: number): Generator<Attribute> {
  for (let at = from; at + RTATTR.size <= end; ) {
    const length = view.getUint16(at + RTATTR.length, true);
    if (length < RTATTR.size) return;
    // The upper two bits say how the value is written.
    const type = view.getUint16(at + RTATTR.type, true) & 0x3fff;
    yield { type, at: at + RTATTR.size, size: length - RTATTR.size };
    at += (length + 3) & ~3;
  }
}

/** Writes one, whose value `write` writes and says where it ends; returns where the next begins. */
export function putAttribute(view: DataView, at: number, type: number, write: (at: number) => number): number {
  const end = write(at + RTATTR.size);
  view.setUint16(at + RTATTR.length, end - at, true);
  view.setUint16(at + RTATTR.type, type, true);
  return (end + 3) & ~3;
}
