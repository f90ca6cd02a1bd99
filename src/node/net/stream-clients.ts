/** TURN's clients on TCP and TLS, over all listeners. */
import type { Socket } from "node:net";
import type { Address } from "../../core/base/address.ts";
import type { Instant } from "../../core/base/machine.ts";
import { type ConnectionContext, StreamConnection, type StreamSink } from "./stream-connection.ts";
import type { StreamLimits } from "./stream-limits.ts";
import type { StreamDoor } from "./stream-listener.ts";
import { createStreamStats, type StreamEnd, type StreamStats } from "./stream-stats.ts";
import { type Arrival, StreamTable } from "./stream-table.ts";

export class StreamClients extends StreamTable<StreamEnd, StreamConnection> implements ConnectionContext, StreamDoor {
  readonly limits: StreamLimits;
  readonly stats: StreamStats;
  readonly sink: StreamSink;

  constructor(limits: StreamLimits, sink: StreamSink, now?: () => Instant) {
    const stats = createStreamStats();
    super(limits, stats, now);
    this.limits = limits;
    this.stats = stats;
    this.sink = sink;
  }

  serve(
    socket: Socket,
    arrival: Arrival<StreamEnd>,
    listener: number,
    transport: "tcp" | "tls",
    local: Readonly<Address>,
  ): void {
    const path = { transport, listener, local, remote: arrival.remote, connection: this.nextNumber() };
    this.add(new StreamConnection(socket, path, arrival.admitted, arrival.at, this));
  }

  sendFrame(connection: number, frame: Uint8Array): void {
    this.find(connection)?.sendFrame(frame);
  }

  sendChannelData(connection: number, channel: number, data: Uint8Array, offset: number, length: number): void {
    this.find(connection)?.sendChannelData(channel, data, offset, length);
  }

  setAllocation(connection: number, has: boolean): void {
    const found = this.find(connection);
    if (found !== undefined) found.hasAllocation = has;
  }
}
