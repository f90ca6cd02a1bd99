/** Which of many descriptors are ready. */
import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLERR,
  EPOLLIN,
  EPOLLOUT,
  epollEvent,
} from "./layout.ts";
import { type Libc, libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";
import { noteOpened } from "./open-descriptors.ts";
import { orThrow } from "./system-error.ts";
import { closeDescriptor } from "./udp-socket.ts";

const EPOLL_EVENT = epollEvent(process.arch);

export class Epoll {
  readonly descriptor: number;
  readonly #room: number;
  readonly #libc: Libc = libc();
  /** What `wait` found, and behind it the event that `#control` hands over. */
  readonly #events: NativeMemory;

  /** `room`: how many are told at once. Throws `SystemError`. */
  constructor(room: number) {
    this.#room = room;
    this.#events = new NativeMemory("epoll events", (room + 1) * EPOLL_EVENT.size);
    this.descriptor = noteOpened(orThrow("epoll_create1", this.#libc.epoll_create1(EPOLL_CLOEXEC)));
  }

  /** Tells of `descriptor` as `id` whenever it can be read, until it is closed. Throws `SystemError`. */
  add(descriptor: number, id: number): void {
    orThrow("epoll_ctl", this.#control(EPOLL_CTL_ADD, descriptor, id, EPOLLIN));
  }

  /** Tells of it no more. */
  remove(descriptor: number): void {
    this.#control(EPOLL_CTL_DEL, descriptor, 0, 0);
  }

  /** Tells also, or no more, when it can be written. */
  watchWritable(descriptor: number, id: number, writable: boolean): void {
    this.#control(EPOLL_CTL_MOD, descriptor, id, writable ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }

  /** How many are ready, at once for 0 ms, and else when one is; 0 also when it was interrupted. */
  wait(timeoutMs: number): number {
    return Math.max(0, this.#libc.epoll_wait(this.descriptor, this.#events.address, this.#room, timeoutMs));
  }

  /** Of what `wait` found, counted from 0. */
  idAt(index: number): number {
    return this.#events.u32[(index * EPOLL_EVENT.size + EPOLL_EVENT.data) >> 2] as number;
  }

  isWritable(index: number): boolean {
    return (this.#eventsAt(index) & EPOLLOUT) !== 0;
  }

  hasError(index: number): boolean {
    return (this.#eventsAt(index) & EPOLLERR) !== 0;
  }

  close(): void {
    closeDescriptor(this.descriptor);
    this.#events.release();
  }

  #eventsAt(index: number): number {
    return this.#events.u32[(index * EPOLL_EVENT.size + EPOLL_EVENT.events) >> 2] as number;
  }

  #control(operation: number, descriptor: number, id: number, events: number): number {
    const at = this.#room * EPOLL_EVENT.size;
    this.#events.u32[(at + EPOLL_EVENT.events) >> 2] = events;
    this.#events.u32[(at + EPOLL_EVENT.data) >> 2] = id;
    return this.#libc.epoll_ctl(this.descriptor, operation, descriptor, this.#events.address + at);
  }
}
