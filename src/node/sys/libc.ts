/**
 * The functions of the C library that Postern calls. Each returns what the function does, or minus errno, read before
 * anything else can run. Addresses are numbers: user space ends far below 2^53.
 */
import { PosternError } from "../../core/base/failure.ts";
import { type Foreign, type ForeignFunction, foreign } from "./foreign.ts";

export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(socket: number, address: number, length: number): number;
  getsockname(socket: number, address: number, length: number): number;
  setsockopt(socket: number, level: number, name: number, value: number, length: number): number;
  getsockopt(socket: number, level: number, name: number, value: number, length: number): number;
  close(descriptor: number): number;
  eventfd(count: number, flags: number): number;
  read(descriptor: number, data: number, room: number): number;
  write(descriptor: number, data: number, length: number): number;
  dup(descriptor: number): number;
  connect(socket: number, address: number, length: number): number;
  listen(socket: number, backlog: number): number;
  accept4(socket: number, address: number, length: number, flags: number): number;
  socketpair(domain: number, type: number, protocol: number, sockets: number): number;
  sendmsg(socket: number, message: number, flags: number): number;
  recvfrom(socket: number, data: number, room: number, flags: number, from: number, fromLength: number): number;
  sendto(socket: number, data: number, length: number, flags: number, to: number, toLength: number): number;
  recvmsg(socket: number, message: number, flags: number): number;
  recvmmsg(socket: number, messages: number, count: number, flags: number, timeout: number): number;
  sendmmsg(socket: number, messages: number, count: number, flags: number): number;
  epoll_create1(flags: number): number;
  epoll_ctl(epoll: number, operation: number, descriptor: number, event: number): number;
  timerfd_create(clock: number, flags: number): number;
  timerfd_settime(timer: number, flags: number, setting: number, former: number): number;
  prctl(option: number, a: number, b: number, c: number, d: number): number;
  capset(header: number, data: number): number;
  getpwnam_r(name: number, entry: number, room: number, roomSize: number, found: number): number;
  syscall(number: number, command: number, attributes: number, size: number): number;
  epoll_wait(epoll: number, events: number, count: number, timeoutMs: number): number;
  ppoll(descriptors: number, count: number, timeout: number, signals: number): number;
}

const prototypes: Readonly<Record<keyof Libc, readonly string[]>> = {
  socket: ["int", "int", "int"],
  bind: ["int", "uintptr_t", "uint32_t"],
  getsockname: ["int", "uintptr_t", "uintptr_t"],
  setsockopt: ["int", "int", "int", "uintptr_t", "uint32_t"],
  getsockopt: ["int", "int", "int", "uintptr_t", "uintptr_t"],
  close: ["int"],
  eventfd: ["uint32_t", "int"],
  read: ["int", "uintptr_t", "size_t"],
  write: ["int", "uintptr_t", "size_t"],
  dup: ["int"],
  connect: ["int", "uintptr_t", "uint32_t"],
  listen: ["int", "int"],
  accept4: ["int", "uintptr_t", "uintptr_t", "int"],
  socketpair: ["int", "int", "int", "uintptr_t"],
  sendmsg: ["int", "uintptr_t", "int"],
  recvfrom: ["int", "uintptr_t", "size_t", "int", "uintptr_t", "uintptr_t"],
  sendto: ["int", "uintptr_t", "size_t", "int", "uintptr_t", "uint32_t"],
  recvmsg: ["int", "uintptr_t", "int"],
  recvmmsg: ["int", "uintptr_t", "uint32_t", "int", "uintptr_t"],
  sendmmsg: ["int", "uintptr_t", "uint32_t", "int"],
  epoll_create1: ["int"],
  epoll_ctl: ["int", "int", "int", "uintptr_t"],
  timerfd_create: ["int", "int"],
  timerfd_settime: ["int", "int", "uintptr_t", "uintptr_t"],
  prctl: ["int", "ulong", "ulong", "ulong", "ulong"],
  capset: ["uintptr_t", "uintptr_t"],
  getpwnam_r: ["uintptr_t", "uintptr_t", "uintptr_t", "size_t", "uintptr_t"],
  syscall: ["long", "int", "uintptr_t", "uint32_t"],
  epoll_wait: ["int", "uintptr_t", "int", "int"],
  ppoll: ["uintptr_t", "ulong", "uintptr_t", "uintptr_t"],
};

function bindFunction(library: ReturnType<Foreign["load"]>, errno: () => number, name: keyof Libc): ForeignFunction {
  const args = prototypes[name];
  const call = library.func(name, "int", args);
  // One closure for each number of arguments: spreading them would make an array for every call.
  switch (args.length) {
    case 1:
      return (a) => orErrno(call(a as number), errno);
    case 2:
      return (a, b) => orErrno(call(a as number, b as number), errno);
    case 3:
      return (a, b, c) => orErrno(call(a as number, b as number, c as number), errno);
    case 4:
      return (a, b, c, d) => orErrno(call(a as number, b as number, c as number, d as number), errno);
    case 5:
      return (a, b, c, d, e) => orErrno(call(a as number, b as number, c as number, d as number, e as number), errno);
    default:
      return (a, b, c, d, e, f) =>
        orErrno(call(a as number, b as number, c as number, d as number, e as number, f as number), errno);
  }
}

function orErrno(result: number, errno: () => number): number {
  return result < 0 ? -errno() : result;
}

let bound: Libc | undefined;

/** Throws `PosternError` `foreign-functions-unavailable`. */
export function libc(): Libc {
  bound ??= bindAll(availableForeign());
  return bound;
}

/** Throws `PosternError` `foreign-functions-unavailable`. */
export function availableForeign(): Foreign {
  const found = foreign();
  if (!(found instanceof Error)) return found;
  throw new PosternError(
    "foreign-functions-unavailable",
    `Foreign functions cannot be called on ${process.platform} ${process.arch} with what is installed: choose the datapath dgram.`,
    { cause: found },
  );
}

function bindAll(functions: Foreign): Libc {
  const library = functions.load(null);
  const names = Object.keys(prototypes) as (keyof Libc)[];
  return Object.fromEntries(
    names.map((name) => [name, bindFunction(library, functions.errno, name)]),
  ) as unknown as Libc;
}
