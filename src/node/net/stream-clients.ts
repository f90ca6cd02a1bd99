/**
 * All clients on TCP and TLS, over all listeners: their numbers, their limits, and one heap of deadlines with one timer.
 * A connection's deadline in the heap may be earlier than its real one; it is moved when it comes up.
 */
import type { Socket } from "node:net";
import { type Address, parseIp } from "../../core/base/address.ts";
import { Deadlines } from "../../core/base/deadlines.ts";
import type { Instant } from "../../core/base/machine.ts";
import { Alarm } from "../alarm.ts";
import { monotonicNow } from "../clock.ts";
import { Admission, type Admitted } from "./admission.ts";
import { type ConnectionContext, StreamConnection, type StreamSink } from "./stream-connection.ts";
import type { StreamLimits } from "./stream-limits.ts";
import { createStreamStats, type StreamStats } from "./stream-stats.ts";

/** How long a connection may take to send what waits when we shut down. */
const farewellMs = 1_000;

/** A connection that has been let in. */
export interface Arrival {
  readonly remote: Readonly<Address>;
  readonly admitted: Admitted;
  readonly at: Instant;
}

export class StreamClients implements ConnectionContext {
  readonly limits: StreamLimits;
  readonly stats: StreamStats = createStreamStats();
  readonly sink: StreamSink;
  readonly now: () => Instant;
  readonly #admission: Admission;
  readonly #connections: Map<number, StreamConnection> = new Map();
  readonly #deadlines: Deadlines<StreamConnection> = new Deadlines();
  readonly #alarm: Alarm;
  #lastNumber = 0;
  #closed: (() => void) | undefined;

  constructor(limits: StreamLimits, sink: StreamSink, now: () => Instant = monotonicNow) {
    this.limits = limits;
    this.sink = sink;
    this.now = now;
    this.#admission = new Admission(limits, this.stats, () => this.#closed?.());
    this.#alarm = new Alarm(() => this.#handleDeadlines(), now);
  }

  /** Lets a new connection in, or resets it. */
  admit(socket: Socket): Arrival | undefined {
    const remote = parseIp(socket.remoteAddress ?? "", socket.remotePort ?? 0);
    const admitted = remote && this.#closed === undefined ? this.#admission.admit(remote) : undefined;
    if (remote !== undefined && admitted !== undefined) return { remote, admitted, at: this.now() };
    // A reset, because a farewell to somebody who floods us would cost us more than it costs them.
    socket.resetAndDestroy();
    return undefined;
  }

  /** Serves an arrival, whose handshake is over if it has one. */
  serve(socket: Socket, arrival: Arrival, listener: number, transport: "tcp" | "tls", local: Readonly<Address>): void {
    const connection = ++this.#lastNumber;
    const path = { transport, listener, local, remote: arrival.remote, connection };
    this.#connections.set(connection, new StreamConnection(socket, path, arrival.admitted, arrival.at, this));
  }

  sendFrame(connection: number, frame: Uint8Array): void {
    this.#connections.get(connection)?.sendFrame(frame);
  }

  sendChannelData(connection: number, channel: number, data: Uint8Array, offset: number, length: number): void {
    this.#connections.get(connection)?.sendChannelData(channel, data, offset, length);
  }

  setAllocation(connection: number, has: boolean): void {
    const found = this.#connections.get(connection);
    if (found !== undefined) found.hasAllocation = has;
  }

  watch(connection: StreamConnection): void {
    const deadline = connection.nextDeadline;
    if (deadline === Number.POSITIVE_INFINITY) {
      this.#deadlines.clear(connection);
      return;
    }
    if (connection.heapIndex >= 0 && deadline >= connection.deadline) return;
    this.#deadlines.set(connection, deadline);
    this.#alarm.follow(this.#deadlines.next);
  }

  forget(connection: StreamConnection): void {
    this.#deadlines.clear(connection);
    this.#connections.delete(connection.path.connection);
  }

  /**
   * Sends what waits, closes every connection, and resolves when they are closed; nobody is let in any more. Handshakes
   * are their listeners' to end.
   */
  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = resolve;
    if (this.stats.open === 0) resolve();
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
    const due: StreamConnection[] = [];
    for (let next = this.#deadlines.popDue(now); next !== undefined; next = this.#deadlines.popDue(now)) due.push(next);
    for (const connection of due) connection.handleTimeout(now);
    this.#alarm.follow(this.#deadlines.next);
  }
}
