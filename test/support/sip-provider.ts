/** A provider on real sockets: it answers every INVITE, and everything else with 200; its servers listen where a test says. */
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { createResponse } from "../../src/core/sip/message/build.ts";
import type { SipRequest } from "../../src/core/sip/message/message.ts";
import { parseMessage } from "../../src/core/sip/message/parse.ts";
import { SipStreamFramer } from "../../src/core/sip/message/stream-framer.ts";
import { until } from "./until.ts";

export interface Received {
  readonly request: SipRequest;
  readonly over: "udp" | "tcp" | "tls";
  /** Which of its connections, beginning with 1; 0 for UDP. */
  readonly connection: number;
}

export interface ProviderCertificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export class SipProvider implements AsyncDisposable {
  readonly received: Received[] = [];
  readonly connections: Socket[] = [];
  readonly #servers: (Server | DatagramSocket)[] = [];
  readonly #ip: string;
  readonly #status: number;

  /** `status`: its answer to an INVITE. */
  constructor(ip: string, status: number = 200) {
    this.#ip = ip;
    this.#status = status;
  }

  async listenUdp(port: number): Promise<void> {
    const socket = createSocket("udp4");
    socket.on("message", (data, from) => {
      this.#receive(data.toString("latin1"), "udp", 0, (text) => socket.send(text, from.port, from.address));
    });
    socket.bind(port, this.#ip);
    await once(socket, "listening");
    this.#servers.push(socket);
  }

  async listenStream(port: number, certificate?: ProviderCertificate): Promise<void> {
    const server = certificate === undefined ? createServer() : createTlsServer(certificate);
    server.on("tlsClientError", () => {});
    server.on(certificate === undefined ? "connection" : "secureConnection", (socket: Socket) => {
      const number = this.connections.push(socket);
      const framer = new SipStreamFramer();
      socket.on("error", () => {});
      socket.setEncoding("latin1").on("data", (chunk: string) => {
        framer.push(chunk);
        for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
          if (frame.kind !== "message") continue;
          this.#receive(frame.text, certificate ? "tls" : "tcp", number, (text) => socket.write(text, "latin1"));
        }
      });
    });
    server.listen(port, this.#ip);
    await once(server, "listening");
    this.#servers.push(server);
  }

  /** The first of this method that comes, or has come. */
  got(method: string): Promise<Received> {
    return until(`a ${method}`, () => this.received.find(({ request }) => request.method === method));
  }

  #receive(text: string, over: Received["over"], connection: number, send: (text: string) => void): void {
    const request = parseMessage(text);
    if (request.kind !== "request") return;
    this.received.push({ request, over, connection });
    if (request.method === "ACK") return;
    const isCall = request.method === "INVITE" && this.#status === 200;
    const routes = request.headers.values("record-route").map((value) => ["Record-Route", value] as const);
    const headers = isCall ? [...routes, ["Contact", `<sip:gate@${this.#ip}>`] as const] : [];
    const toTag = request.toTag === undefined ? { toTag: "gate" } : {};
    const response = createResponse(request, request.method === "INVITE" ? this.#status : 200, { ...toTag, headers });
    if (isCall) {
      const lines = [
        "v=0",
        `o=- 1 1 IN IP4 ${this.#ip}`,
        "s=-",
        `c=IN IP4 ${this.#ip}`,
        "t=0 0",
        "m=audio 9000 RTP/AVP 0",
      ];
      response.setBody(`${lines.join("\r\n")}\r\n`, "application/sdp");
    }
    send(response.format());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.connections) socket.destroy();
    for (const server of this.#servers) {
      server.close();
      await once(server, "close");
    }
  }
}
