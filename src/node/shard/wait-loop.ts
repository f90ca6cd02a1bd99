/**
 * Waits in a worker's place of Node: for descriptors of ours and for everything that Node's event loop waits for, which
 * keeps its timers, messages and streams. Each turn asks libuv how long it would have waited, waits that long for its
 * descriptor and ours, and gives way to it again.
 *
 * Node's own watching would not do: see `watchReadable`. Nothing here is a handle of libuv's, so a worker
 * can be ended at any time, by itself, by its heap's limit or by `terminate`.
 */
import { Epoll } from "../sys/epoll.ts";
import { EventLoop } from "../sys/event-loop.ts";
import { Pause } from "../sys/pause.ts";
import type { ThreadLoop, Watch, WatchReadable } from "../sys/readiness.ts";
import type { Pulse } from "./pulse.ts";

/** The event loop's own place among what is waited for. */
const LOOP = 0;

/** Descriptors that are told of at once. */
const room = 16;

interface Watched {
  readonly descriptor: number;
  readonly whenReady: () => void;
  isOn: boolean;
}

export class WaitLoop implements ThreadLoop {
  readonly #epoll: Epoll = new Epoll(room);
  readonly #loop: EventLoop = new EventLoop();
  readonly #pause: Pause = new Pause(this.#epoll.descriptor);
  readonly #watched: (Watched | undefined)[] = [undefined];
  readonly #turn = (): void => this.#takeTurn();
  readonly #deferred: (() => void)[] = [];
  readonly #doDeferred = (): void => {
    for (let work = this.#deferred.pop(); work !== undefined; work = this.#deferred.pop()) work();
  };
  readonly #pulse: Pulse;
  #next: NodeJS.Immediate;

  /** Begins at once. Throws `PosternError` `foreign-functions-unavailable`, or `SystemError`. */
  constructor(pulse: Pulse) {
    this.#pulse = pulse;
    this.#epoll.add(this.#loop.descriptor, LOOP);
    this.#next = setImmediate(this.#turn);
  }

  readonly watch: WatchReadable = (descriptor, whenReady): Watch => {
    const id = this.#watched.length;
    const watched: Watched = { descriptor, whenReady, isOn: true };
    this.#watched.push(watched);
    this.#epoll.add(descriptor, id);
    const set = (isOn: boolean): void => {
      if (isOn === watched.isOn || this.#watched[id] === undefined) return;
      watched.isOn = isOn;
      if (isOn) this.#epoll.add(descriptor, id);
      else this.#epoll.remove(descriptor);
    };
    return {
      // A worker ends when it is told to.
      ref: () => {},
      unref: () => {},
      start: () => set(true),
      stop: () => set(false),
      close: () => {
        set(false);
        this.#watched[id] = undefined;
      },
    };
  };

  /** `work` is done as a microtask, but before anybody waits. */
  defer(work: () => void): void {
    if (this.#deferred.push(work) === 1) queueMicrotask(this.#doDeferred);
  }

  pause(microseconds: number): boolean {
    this.#doDeferred();
    this.#loop.updateTime();
    const { timeout } = this.#loop;
    return (timeout < 0 || timeout * 1_000 >= microseconds) && this.#pause.take(microseconds);
  }

  /** Nothing is waited for any more: the worker ends when Node has nothing left to do. */
  close(): void {
    clearImmediate(this.#next);
    this.#epoll.close();
    this.#pause.release();
  }

  #takeTurn(): void {
    this.#next = setImmediate(this.#turn);
    // With it, libuv would say that it need not wait at all.
    this.#next.unref();
    try {
      this.#wait();
    } finally {
      this.#next.ref();
    }
  }

  #wait(): void {
    const { timeout } = this.#loop;
    this.#pulse.rest();
    const ready = this.#epoll.wait(timeout);
    this.#pulse.beat();
    for (let i = 0; i < ready; i++) {
      const watched = this.#watched[this.#epoll.idAt(i)];
      if (watched?.isOn === true) watched.whenReady();
    }
  }
}
