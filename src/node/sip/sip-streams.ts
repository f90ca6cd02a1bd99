/** All of SIP's connections on TCP and TLS, whoever opened them. */
import type { Socket } from "node:net";
import { type Address, parseIp } from "../../core/base/address.ts";
import type { StreamDoor } from "../net/stream-listener.ts";
import { type Arrival, StreamTable } from "../net/stream-table.ts";
import type { SipStreamLimits } from "./limits.ts";
import type { SipSink } from "./sink.ts";
import { type Opening, SipConnection, type SipConnectionContext } from "./sip-connection.ts";
import type { SipSocketStats, SipStreamEnd } from "./stats.ts";

export class SipStreams extends StreamTable<SipStreamEnd, SipConnection> implements SipConnectionContext, StreamDoor {
  readonly limits: SipStreamLimits;
  readonly stats: SipSocketStats;
  readonly sink: SipSink;

  constructor(limits: SipStreamLimits, sink: SipSink, stats: SipSocketStats) {
    super(limits, stats.connections);
    this.limits = limits;
    this.stats = stats;
    this.sink = sink;
  }

  serve(
    socket: Socket,
    { remote, admitted: place, at }: Arrival<SipStreamEnd>,
    _listener: number,
    transport: "tcp" | "tls",
    local: Readonly<Address>,
  ): void {
    this.#add(socket, transport, local, remote, { by: "them", place, at }, ignore);
  }

  /** Serves a connection that we have opened. `onClosed` is called before the sink hears of it. */
  serveOurs(
    socket: Socket,
    transport: "tcp" | "tls",
    remote: Readonly<Address>,
    opening: Opening,
    onClosed: (connection: SipConnection) => void,
  ): SipConnection {
    const local = parseIp(socket.localAddress ?? "", socket.localPort ?? 0) ?? remote;
    return this.#add(socket, transport, local, remote, opening, onClosed);
  }

  /** For one that we are about to open. */
  opening(): Opening {
    return { by: "us", place: this.enter(), at: this.now() };
  }

  send(connection: number, text: string, onFailed: (() => void) | undefined): boolean {
    return this.find(connection)?.send(text, onFailed) === true;
  }

  settle(connection: number, isSettled: boolean): void {
    const found = this.find(connection);
    if (found !== undefined) found.isSettled = isSettled;
  }

  #add(
    socket: Socket,
    transport: "tcp" | "tls",
    local: Readonly<Address>,
    remote: Readonly<Address>,
    opening: Opening,
    onClosed: (connection: SipConnection) => void,
  ): SipConnection {
    const flow = { transport, local, remote, connection: this.nextNumber() };
    const connection = new SipConnection(socket, flow, opening, this, () => {
      onClosed(connection);
      this.sink.handleConnectionClosed(flow.connection);
    });
    this.add(connection);
    return connection;
  }
}

function ignore(): void {}
