/** A phone on real sockets that does what the test says; by itself it answers OPTIONS alone, and nothing else. */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { type Address, formatIp, parseIp } from "../../src/core/base/address.ts";
import { chooseChallenge, formatAuthorization } from "../../src/core/sip/digest/answer.ts";
import { createRequest, createResponse, type HeaderLine } from "../../src/core/sip/message/build.ts";
import { MALFORMED } from "../../src/core/sip/message/characters.ts";
import type { SipRequest, SipResponse } from "../../src/core/sip/message/message.ts";
import { parseMessage } from "../../src/core/sip/message/parse.ts";
import { SipStreamFramer } from "../../src/core/sip/message/stream-framer.ts";
import { nodeCrypto } from "../../src/node/crypto.ts";
import { PooledRandom } from "../../src/node/random.ts";
import { until } from "./until.ts";

const ports = { crypto: nodeCrypto, random: new PooledRandom() };
let lastBranch = 0;

/** RFC 3261 §17.1.2.2: timers E and F. */
const [t1, t2, transactionMs] = [500, 4_000, 32_000];

/** Sends it again, as phones do over UDP, until what is awaited is there. */
export async function repeating<T>(send: () => void, awaited: Promise<T>): Promise<T> {
  let interval = t1;
  const again = (): void => {
    send();
    interval = Math.min(interval * 2, t2);
    timer = setTimeout(again, interval);
  };
  let timer = setTimeout(again, interval);
  try {
    return await awaited;
  } finally {
    clearTimeout(timer);
  }
}

export interface SipAccount {
  readonly user: string;
  readonly domain: string;
  readonly password: string;
}

async function bound(ip: string): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.bind(0, ip);
  await once(socket, "listening");
  return socket;
}

/** The way of a phone's signaling. */
interface Line {
  readonly transport: "UDP" | "TCP" | "TLS";
  readonly port: number;
  send(text: string): void;
  close(): Promise<void>;
}

async function udpLine(ip: string, server: Readonly<Address>, receive: (text: string) => void): Promise<Line> {
  const socket = await bound(ip);
  socket.on("message", (data) => receive(data.toString("latin1")));
  const send = (text: string) => socket.send(Buffer.from(text, "latin1"), server.port, formatIp(server));
  return { transport: "UDP", port: socket.address().port, send, close: () => closed(socket) };
}

async function streamLine(
  transport: "TCP" | "TLS",
  ip: string,
  server: Readonly<Address>,
  receive: (text: string) => void,
): Promise<Line> {
  const to = { host: formatIp(server), port: server.port, localAddress: ip };
  // A server under test has made its own certificate.
  const socket = transport === "TCP" ? connect(to) : connectTls({ ...to, rejectUnauthorized: false });
  await once(socket, transport === "TCP" ? "connect" : "secureConnect");
  const framer = new SipStreamFramer();
  socket.on("error", () => {});
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    framer.push(chunk);
    for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
      if (frame.kind === "message") receive(frame.text);
    }
  });
  const close = async () => void socket.destroy();
  return { transport, port: socket.localPort ?? 0, send: (text) => socket.write(text, "latin1"), close };
}

async function closed(socket: Socket): Promise<void> {
  const done = once(socket, "close");
  socket.close();
  await done;
}

export class SipPhone implements AsyncDisposable {
  readonly account: SipAccount;
  readonly ip: string;
  /** What it offers and answers with: voice, or T.38 (ITU-T T.38 annex D). */
  kind: "voice" | "fax" = "voice";
  /** Where messages may be lost: it sends a request again until it is answered, for as long as a transaction lasts. */
  repeatsItself = false;
  readonly requests: SipRequest[] = [];
  readonly responses: SipResponse[] = [];
  /** What came to its media port, and from which port. */
  readonly heard: { readonly data: Buffer; readonly from: number }[] = [];
  readonly #line: Line;
  readonly #media: Socket;
  #cseq = 0;

  private constructor(account: SipAccount, ip: string, line: Line, media: Socket) {
    this.account = account;
    this.ip = ip;
    this.#line = line;
    this.#media = media;
    media.on("message", (data, { port }) => this.heard.push({ data, from: port }));
  }

  static async open(
    account: SipAccount,
    ip: string,
    server: Readonly<Address>,
    transport: "udp" | "tcp" | "tls" = "udp",
  ): Promise<SipPhone> {
    const receive = (text: string) => phone.#receive(text);
    const line = await (transport === "udp"
      ? udpLine(ip, server, receive)
      : streamLine(transport === "tcp" ? "TCP" : "TLS", ip, server, receive));
    const phone = new SipPhone(account, ip, line, await bound(ip));
    return phone;
  }

  get #here(): string {
    return `${this.ip}:${this.#line.port}`;
  }

  get contact(): string {
    return `sip:${this.account.user}@${this.#here}${this.#line.transport === "UDP" ? "" : `;transport=${this.#line.transport.toLowerCase()}`}`;
  }

  get sdp(): string {
    const { port } = this.#media.address();
    return [
      "v=0",
      `o=- 1 1 IN IP4 ${this.ip}`,
      "s=-",
      `c=IN IP4 ${this.ip}`,
      "t=0 0",
      this.kind === "voice" ? `m=audio ${port} RTP/AVP 0` : `m=image ${port} udptl t38`,
      "",
    ].join("\r\n");
  }

  send(message: SipRequest | SipResponse): void {
    this.#line.send(message.format());
  }

  /** The first request of this method that comes, or has come. */
  request(method: string): Promise<SipRequest> {
    return until(
      `a ${method} to ${this.account.user}`,
      () => this.requests.find((one) => one.method === method),
      this.repeatsItself ? { within: transactionMs } : {},
    );
  }

  /** Sends what is no message, or none that this phone would write. */
  sendText(text: string): void {
    this.#line.send(text);
  }

  /** The final answer to a request; a challenge is met with the password first. */
  async ask(request: SipRequest): Promise<SipResponse> {
    this.send(request);
    const first = await this.#final(request);
    if (first.status !== 401 && first.status !== 407) return first;
    const again = this.#authorized(request, first);
    this.send(again);
    return this.#final(again);
  }

  /** A request that has been refused for want of the password, with the password. */
  async authorized(request: SipRequest): Promise<SipRequest> {
    this.send(request);
    return this.#authorized(request, await this.#final(request));
  }

  register(expires = 300): Promise<SipResponse> {
    const me = `<sip:${this.account.user}@${this.account.domain}>`;
    const headers = [
      ["From", `${me};tag=r`],
      ["To", me],
      ["Call-ID", `register-${this.#here}`],
      ["CSeq", `${++this.#cseq} REGISTER`],
      ["Contact", `<${this.contact}>;expires=${expires}`],
      ["User-Agent", "test phone"],
    ] as const;
    return this.ask(this.#build("REGISTER", `sip:${this.account.domain}`, headers));
  }

  invitation(to: string): SipRequest {
    const { user, domain } = this.account;
    const invite = this.#build("INVITE", `sip:${to}@${domain}`, [
      ["From", `<sip:${user}@${domain}>;tag=from-${user}`],
      ["To", `<sip:${to}@${domain}>`],
      ["Call-ID", `call-${++lastBranch}-${this.#here}`],
      ["CSeq", `${++this.#cseq} INVITE`],
      ["Contact", `<${this.contact}>`],
    ]);
    invite.setBody(this.sdp, "application/sdp");
    return invite;
  }

  /** Calls, the other answers, and the call is acknowledged. */
  async call(other: SipPhone): Promise<{ readonly invite: SipRequest; readonly answer: SipResponse }> {
    const answered = this.ask(this.invitation(other.account.user));
    const invite = await other.request("INVITE");
    other.answer(invite);
    const answer = await answered;
    assert.equal(answer.status, 200, answer.format());
    this.send(this.within(answer, "ACK"));
    await other.request("ACK");
    return { invite, answer };
  }

  /** 200 with a description. */
  answer(invite: SipRequest): void {
    const routes = invite.headers.values("record-route").map((value) => ["Record-Route", value] as const);
    const headers = [...routes, ["Contact", `<${this.contact}>`]] as const;
    const response = createResponse(invite, 200, { toTag: `to-${this.account.user}`, headers });
    response.setBody(this.sdp, "application/sdp");
    this.send(response);
  }

  /** 200 without anything. */
  accept(request: SipRequest): void {
    this.send(createResponse(request, 200));
  }

  /** A request within the dialog of an answer, by its caller. */
  within(answer: SipResponse, method: string): SipRequest {
    const { contacts } = answer;
    assert.ok(contacts !== "*" && contacts !== MALFORMED && contacts[0] !== undefined);
    return this.#build(method, contacts[0].uriText, [
      ...answer.headers
        .values("record-route")
        .toReversed()
        .map((value) => ["Route", value] as const),
      ["From", answer.header("from") ?? ""],
      ["To", answer.header("to") ?? ""],
      ["Call-ID", answer.callId],
      ["CSeq", `${method === "ACK" ? answer.cseq.number : ++this.#cseq} ${method}`],
    ]);
  }

  /** How far its media goes from now on. */
  set hops(count: number) {
    this.#media.setTTL(count);
  }

  /** One packet of voice to where `description` says; the sequence number is its payload's too. */
  speak(description: string, sequence: number): void {
    const data = Buffer.alloc(172, sequence & 0xff);
    data.writeUInt16BE(0x8000, 0);
    data.writeUInt16BE(sequence, 2);
    data.writeUInt32BE(sequence * 160, 4);
    data.writeInt32BE(parseIp(this.ip)?.w3 ?? 0, 8);
    this.sendMedia(description, data);
  }

  sendMedia(description: string, data: Buffer): void {
    const { host, port } = mediaOf(description);
    this.#media.send(data, port, host);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#line.close(), closed(this.#media)]);
  }

  #receive(text: string): void {
    const message = parseMessage(text);
    assert.ok(message.kind !== "failure", text);
    if (message.kind === "response") this.responses.push(message);
    else if (message.method === "OPTIONS") this.accept(message);
    else this.requests.push(message);
  }

  #authorized(request: SipRequest, refusal: SipResponse): SipRequest {
    if (request.method === "INVITE") this.send(this.#refusalAck(request, refusal));
    const again = request.copy();
    again.removeTopVia();
    again.prependVia(this.#via());
    again.headers.set("CSeq", `${++this.#cseq} ${request.method}`);
    const name = refusal.status === 401 ? "Authorization" : "Proxy-Authorization";
    again.headers.set(name, this.#authorize(again, refusal));
    return again;
  }

  async #final(request: SipRequest): Promise<SipResponse> {
    const { callId, cseq } = request;
    const answered = until(
      `an answer to ${cseq.method} ${cseq.number} of ${this.account.user}`,
      () => this.responses.find((one) => one.callId === callId && one.cseq.number === cseq.number && one.status >= 200),
      this.repeatsItself ? { within: transactionMs } : {},
    );
    return this.repeatsItself ? repeating(() => this.send(request), answered) : answered;
  }

  #build(method: string, uri: string, headers: readonly HeaderLine[]): SipRequest {
    return createRequest({ method, uri, headers: [["Via", this.#via()], ["Max-Forwards", "70"], ...headers] });
  }

  #via(): string {
    return `SIP/2.0/${this.#line.transport} ${this.#here};branch=z9hG4bK${++lastBranch};rport`;
  }

  #refusalAck(invite: SipRequest, refusal: SipResponse): SipRequest {
    const headers = [
      ["Via", invite.headers.values("via")[0] ?? ""],
      ["Max-Forwards", "70"],
      ["From", invite.header("from") ?? ""],
      ["To", refusal.header("to") ?? ""],
      ["Call-ID", invite.callId],
      ["CSeq", `${invite.cseq.number} ACK`],
    ] as const;
    return createRequest({ method: "ACK", uri: invite.uriText, headers });
  }

  #authorize(request: SipRequest, refusal: SipResponse): string {
    const { user: username, domain: realm, password } = this.account;
    const account = { username, realm, password };
    const name = refusal.status === 401 ? "WWW-Authenticate" : "Proxy-Authenticate";
    const challenge = chooseChallenge(
      refusal.credentials(name).map(({ params }) => params),
      account,
    );
    assert.ok(challenge, refusal.format());
    return formatAuthorization(ports, account, challenge, { method: request.method, uri: request.uriText, count: 1 });
  }
}

/** Where the first stream of a description is. */
export function mediaOf(description: string): { readonly host: string; readonly port: number } {
  const host = /^c=IN IP4 (\S+)/m.exec(description)?.[1] ?? assert.fail(description);
  return { host, port: Number(/^m=\w+ (\d+)/m.exec(description)?.[1]) };
}
