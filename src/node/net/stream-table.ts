/**
 * All connections on TCP and TLS of one protocol, over all listeners: their numbers, their limits, and one heap of
 * deadlines with one timer. A connection's deadline in the heap may be earlier than its real one; it is moved when it
 * comes up.
 */
import { randomInt } from "node:crypto";
import type { Socket } from "node:net";
import { type Address, parseIp } from "../../core/base/address.ts";
import { Deadlines } from "../../core/base/deadlines.ts";
import type { Instant } from "../../core/base/machine.ts";
import { Alarm } from "../alarm.ts";
import { monotonicNow } from "../clock.ts";
import { Admission } from "./admission.ts";
import type { LimitedStream, Place, StreamWatch } from "./limited-stream.ts";
import type { ConnectionLimits } from "./stream-limits.ts";
import type { ConnectionStats } from "./stream-stats.ts";

/** How long a connection may take to send what waits when we shut down. */
const farewellMs = 1_000;

/** A connection that has been let in. */
export interface Arrival<End extends string = never> {
  readonly remote: Readonly<Address>;
  readonly admitted: Place<End>;
  readonly at: Instant;
}

/** Where numbers begin is below this; they go up from there, and stay whole numbers of 32 bits. */
const NUMBERS = 2 ** 30;

export abstract class StreamTable<End extends string, C extends LimitedStream<End>> implements StreamWatch {
  readonly now: () => Instant;
  readonly handshakeMs: number;
  readonly #stats: ConnectionStats<End>;
  readonly #admission: Admission<End>;
  readonly #connections: Map<number, C> = new Map();
  readonly #deadlines: Deadlines<LimitedStream<string>> = new Deadlines();
  readonly #alarm: Alarm;
  /** From anywhere: a number that outlives the process, in a token of a SIP dialog say, must not name another's connection. */
  #lastNumber: number = randomInt(NUMBERS);
  #closed: (() => void) | undefined;

  constructor(limits: ConnectionLimits, stats: ConnectionStats<End>, now: () => Instant = monotonicNow) {
    this.now = now;
    this.handshakeMs = limits.firstFrameMs;
    this.#stats = stats;
    this.#admission = new Admission(limits, stats, () => this.#closed?.());
    this.#alarm = new Alarm(() => this.#handleDeadlines(), now);
  }

  /** Lets a new connection in, or resets it. */
  admit(socket: Socket): Arrival<End> | undefined {
    const remote = parseIp(socket.remoteAddress ?? "", socket.remotePort ?? 0);
    const admitted = remote && this.#closed === undefined ? this.#admission.admit(remote) : undefined;
    if (remote !== undefined && admitted !== undefined) return { remote, admitted, at: this.now() };
    // A reset, because a farewell to somebody who floods us would cost us more than it costs them.
    socket.resetAndDestroy();
    return undefined;
  }

  /** A place for a connection that we opened. */
  protected enter(): Place<End> {
    return this.#admission.enter();
  }

  protected nextNumber(): number {
    return ++this.#lastNumber;
  }

  protected add(connection: C): void {
    this.#connections.set(connection.number, connection);
  }

  protected find(number: number): C | undefined {
    return this.#connections.get(number);
  }

  watch(connection: LimitedStream<string>): void {
    const deadline = connection.nextDeadline;
    if (deadline === Number.POSITIVE_INFINITY) {
      this.#deadlines.clear(connection);
      return;
    }
    if (connection.heapIndex >= 0 && deadline >= connection.deadline) return;
    this.#deadlines.set(connection, deadline);
    this.#alarm.follow(this.#deadlines.next);
  }

  forget(connection: LimitedStream<string>): void {
    this.#deadlines.clear(connection);
    this.#connections.delete(connection.number);
  }

  /**
   * Sends what waits, closes every connection, and resolves when they are closed; nobody is let in any more. Handshakes
   * are their listeners' to end.
   */
  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = resolve;
    if (this.#stats.open === 0) resolve();
    for (const connection of this.#connections.values()) connection.finish();
    const impatience = setTimeout(() => {
      for (const connection of this.#connections.values()) connection.end("shutdown");
    }, farewellMs);
    await promise;
    clearTimeout(impatience);
    this.#alarm.stop();
  }

  #handleDeadlines(): void {
    const now = this.now();
    const due: LimitedStream<string>[] = [];
    for (let next = this.#deadlines.popDue(now); next !== undefined; next = this.#deadlines.popDue(now)) due.push(next);
    for (const connection of due) connection.handleTimeout(now);
    this.#alarm.follow(this.#deadlines.next);
  }
}
