/** What never reached the sockets of the `mmsg` datapath: the kernel counts it, for each socket, and says so when asked. */
import type { QueueGauge } from "../sys/steering.ts";
import type { ReceiveQueue } from "./datapath.ts";
import type { MmsgSocket } from "./mmsg-socket.ts";

type Losses = Record<ReceiveQueue, number>;

export class ReceiveLosses {
  readonly #gauge: QueueGauge;
  /** Of sockets that are closed. */
  readonly #former: Losses = { listener: 0, requests: 0, relay: 0 };

  constructor(gauge: QueueGauge) {
    this.#gauge = gauge;
  }

  /** Call before a socket closes. */
  handleClosing(socket: MmsgSocket): void {
    this.#former[socket.receives] += this.#gauge.dropsOf(socket.descriptor);
  }

  /** With those of the sockets that are open: a system call for each. */
  sum(sockets: Iterable<MmsgSocket | undefined>): Losses {
    const losses = { ...this.#former };
    for (const socket of sockets) {
      if (socket?.state === "open") losses[socket.receives] += this.#gauge.dropsOf(socket.descriptor);
    }
    return losses;
  }
}
