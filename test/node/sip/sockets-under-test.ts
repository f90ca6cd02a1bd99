/** `SipSockets` on loopback, what came up from them, and neighbours that speak to them over real sockets. */
import assert from "node:assert/strict";
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { type Address, formatIp } from "../../../src/core/base/address.ts";
import type { SipFlow } from "../../../src/core/sip/flow.ts";
import { chooseDatapath } from "../../../src/node/datapath/choice.ts";
import { createDatapath } from "../../../src/node/datapath/creation.ts";
import type { CommonEnd } from "../../../src/node/net/stream-stats.ts";
import type { TlsIdentity } from "../../../src/node/net/tls-identity.ts";
import { SipSockets, type SipSocketsOptions } from "../../../src/node/sip/sip-sockets.ts";
import type { SipStreamEnd } from "../../../src/node/sip/stats.ts";
import { until } from "../../support/until.ts";
import { at } from "../host-under-test.ts";

const anywhere = "127.0.0.1";

/** A request, its Content-Length right for the body. */
export function options(callId: string, body = ""): string {
  return [
    "OPTIONS sip:postern.example SIP/2.0",
    "Via: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1",
    "Max-Forwards: 70",
    "From: <sip:a@example.com>;tag=1",
    "To: <sip:postern.example>",
    `Call-ID: ${callId}`,
    "CSeq: 1 OPTIONS",
    `Content-Length: ${body.length}`,
    "",
    body,
  ].join("\r\n");
}

interface Arrived {
  readonly text: string;
  readonly flow: SipFlow;
}

export class SocketsUnderTest implements AsyncDisposable {
  readonly sockets: SipSockets;
  readonly arrived: Arrived[] = [];
  readonly closed: number[] = [];

  /** Which connections are closed, the first that spoke being 1: their numbers begin anywhere. */
  get closedInOrder(): number[] {
    const first = Math.min(...this.closed, ...this.arrived.map(({ flow }) => flow.connection).filter((n) => n > 0));
    return this.closed.map((number) => number - first + 1);
  }
  onMessage: () => void = () => {};
  readonly #opened: (Socket | DatagramSocket)[] = [];

  constructor(given: Omit<SipSocketsOptions, "sink"> = {}) {
    this.sockets = new SipSockets({
      datapath: createDatapath(chooseDatapath("auto").kind),
      ...given,
      sink: {
        handleMessage: (text, flow) => {
          this.arrived.push({ text, flow });
          this.onMessage();
        },
        handleConnectionClosed: (connection) => this.closed.push(connection),
      },
    });
  }

  get stats() {
    return this.sockets.stats;
  }

  /** Message texts, in the order in which they came. */
  get texts(): readonly string[] {
    return this.arrived.map(({ text }) => text);
  }

  /** Listens on a free port of 127.0.0.1. */
  listen(transport: "udp" | "tcp" | "tls", ip = anywhere, tls?: TlsIdentity): Promise<Readonly<Address>> {
    return this.sockets.listen({ transport, address: at(ip), ...(tls && { tls }) });
  }

  /** A neighbour on TCP, whose errors do not matter. */
  connect(to: Readonly<Address>, from?: string): Socket {
    const where = { host: formatIp(to), port: to.port, noDelay: true };
    const socket = connect({ ...where, ...(from && { localAddress: from }) });
    return this.#keep(socket);
  }

  /** The same on TLS, which trusts everybody. */
  connectTls(to: Readonly<Address>, given: ConnectionOptions = {}): TLSSocket {
    return this.#keep(connectTls({ host: formatIp(to), port: to.port, rejectUnauthorized: false, ...given }));
  }

  /** A neighbour on UDP. */
  async datagrams(ip = anywhere): Promise<DatagramSocket> {
    const socket = createSocket(ip.includes(":") ? "udp6" : "udp4");
    this.#opened.push(socket);
    socket.bind(0, ip);
    await once(socket, "listening");
    return socket;
  }

  async message(number = 1): Promise<Arrived> {
    await until(`message ${number}`, () => this.arrived.length >= number);
    return this.arrived[number - 1] as Arrived;
  }

  /** What was to be told later has been told. */
  settled(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  async ended(end: CommonEnd | SipStreamEnd, times = 1): Promise<void> {
    await until(`an end by ${end}`, () => this.stats.connections.closed[end] === times);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sockets.close();
    for (const socket of this.#opened) "destroy" in socket ? socket.destroy() : socket.close();
    assert.deepEqual([this.stats.connections.open, this.stats.connections.halfOpen], [0, 0]);
    assert.equal(this.stats.datagrams.sockets, 0);
  }

  #keep<S extends Socket>(socket: S): S {
    socket.on("error", () => {});
    this.#opened.push(socket);
    return socket;
  }
}

/** Everything that comes on a stream, as a binary string. */
export function received(socket: Socket): { text: string } {
  const all = { text: "" };
  socket.on("data", (chunk: Buffer) => {
    all.text += chunk.toString("latin1");
  });
  return all;
}
