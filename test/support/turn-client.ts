/**
 * A small TURN client for tests, on the codec: real sockets over UDP, TCP and TLS, long-term credentials with MD5 or
 * SHA-256. It answers 401 and 438 by itself, retransmits over UDP, and leaves refreshing to whoever uses it.
 *
 *   await using client = await TurnClient.connect({ transport: "udp", host: "127.0.0.1", port, username, password });
 *   const { relayed } = await client.allocate();
 */
import { randomBytes } from "node:crypto";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { connect as connectTcp, isIPv6, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { type Address, blankAddress, type Family, parseIp } from "../../src/core/base/address.ts";
import { readU16 } from "../../src/core/base/bytes.ts";
import type { HmacKey } from "../../src/core/base/ports.ts";
import { encodePasswordAlgorithms, longTermKey } from "../../src/core/stun/credentials.ts";
import {
  Attribute,
  FAMILY_IPV4,
  FAMILY_IPV6,
  MessageClass,
  Method,
  PasswordAlgorithmNumber,
  TRANSPORT_UDP,
} from "../../src/core/stun/registry.ts";
import { StunView } from "../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../src/core/stun/writer.ts";
import {
  CHANNEL_HEADER_LENGTH,
  channelDataLength,
  encodeChannelHeader,
  looksLikeChannelData,
} from "../../src/core/turn/channel-data.ts";
import { StreamFramer } from "../../src/core/turn/stream-framing.ts";
import { testCrypto } from "./crypto.ts";

export interface TurnClientOptions {
  readonly transport?: "udp" | "tcp" | "tls";
  readonly host?: string;
  readonly port: number;
  /** The client's own address. */
  readonly from?: string;
  readonly username?: string;
  readonly password?: string;
  /** By which algorithm the key is derived, and the integrity made. */
  readonly algorithm?: "md5" | "sha256";
  /** Certificates are not verified unless this says how. */
  readonly tls?: ConnectionOptions;
  /** How long a request may go unanswered, in milliseconds. */
  readonly patience?: number;
  /** After how many milliseconds a request is sent again over UDP. */
  readonly retransmit?: number;
  /** The client's own port, over UDP; any free one when it is not given. */
  readonly fromPort?: number;
  /** Sees everything first, as it comes; what it takes, by returning true, the client does not see. */
  readonly onFrame?: (frame: Uint8Array) => boolean;
}

export interface Allocated {
  /** Advertised relayed transport addresses: one, or IPv4 and IPv6. */
  readonly relayed: readonly Address[];
  readonly mapped: Address;
  /** In seconds. */
  readonly lifetime: number;
  readonly reservationToken: Uint8Array | undefined;
}

/** What came through the relay: from a peer in a Data indication, or on a channel. */
export interface Received {
  readonly data: Uint8Array;
  readonly peer?: Address;
  readonly channel?: number;
}

/** The server's error response. */
export class Refused extends Error {
  readonly code: number;
  readonly response: StunView;
  constructor(method: number, code: number, response: StunView) {
    super(`method ${method} was refused with ${code}`);
    this.code = code;
    this.response = response;
  }
}

const retransmitMs = 250;

interface Wire {
  send(data: Uint8Array): void;
  close(): void;
  readonly stream: boolean;
}

type Fill = (writer: StunWriter) => void;

export class TurnClient implements AsyncDisposable {
  readonly #options: TurnClientOptions;
  readonly #waiting: Map<string, (response: StunView) => void> = new Map();
  readonly #received: Received[] = [];
  #wake: (() => void) | undefined;
  #wire!: Wire;
  #realm = "";
  #nonce = "";
  #algorithms: Uint8Array | undefined;
  #key: HmacKey | undefined;
  /** Resolves when the server closed the stream, or this client its socket. */
  readonly closed: Promise<void>;
  #isClosed = false;
  #markClosed!: () => void;

  private constructor(options: TurnClientOptions) {
    this.#options = options;
    this.closed = new Promise((resolve) => {
      this.#markClosed = () => {
        this.#isClosed = true;
        resolve();
      };
    });
  }

  static async connect(options: TurnClientOptions): Promise<TurnClient> {
    const client = new TurnClient(options);
    const { transport = "udp" } = options;
    client.#wire = transport === "udp" ? await client.#openUdp() : await client.#openStream(transport);
    return client;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  async #openUdp(): Promise<Wire> {
    const { host = "127.0.0.1", port, from, fromPort = 0 } = this.#options;
    const socket: UdpSocket = createSocket({ type: isIPv6(host) ? "udp6" : "udp4", recvBufferSize: 1 << 20 });
    socket.on("message", (data) => this.#handle(data));
    socket.on("close", () => this.#markClosed());
    socket.on("error", () => {}); // A port that is closed answers with ICMP: the request's patience decides.
    if (from !== undefined) {
      socket.bind(fromPort, from);
      await once(socket, "listening");
    }
    socket.connect(port, host);
    await once(socket, "connect");
    return {
      stream: false,
      send: (data) => socket.send(data, () => {}),
      close: () => {
        if (!this.#isClosed) socket.close();
      },
    };
  }

  async #openStream(transport: "tcp" | "tls"): Promise<Wire> {
    const { host = "127.0.0.1", port, from, tls } = this.#options;
    const where = { host, port, ...(from === undefined ? {} : { localAddress: from }) };
    const socket: Socket =
      transport === "tcp" ? connectTcp(where) : connectTls({ rejectUnauthorized: false, ...tls, ...where });
    const framer = new StreamFramer(70_000);
    socket.setNoDelay(true);
    socket.on("data", (data) => {
      framer.push(data);
      for (let frame = framer.next(); frame !== undefined; frame = framer.next()) this.#handle(frame);
    });
    socket.on("close", () => this.#markClosed());
    await once(socket, transport === "tcp" ? "connect" : "secureConnect");
    socket.on("error", () => {});
    return { stream: true, send: (data) => socket.write(data), close: () => socket.destroy() };
  }

  #handle(data: Uint8Array): void {
    if (this.#options.onFrame?.(data) === true) return;
    if (looksLikeChannelData(data[0] as number)) {
      const length = channelDataLength(data, data.length);
      const payload = data.slice(CHANNEL_HEADER_LENGTH, CHANNEL_HEADER_LENGTH + length);
      this.#deliver({ channel: readU16(data, 0), data: payload });
      return;
    }
    const view = new StunView();
    if (view.decode(data.slice()) !== undefined) return;
    if (view.class === MessageClass.Indication) {
      const peer = addressIn(view, Attribute.XorPeerAddress);
      const payload = view.bytes(Attribute.Data);
      if (peer !== undefined && payload !== undefined) this.#deliver({ peer, data: payload });
      return;
    }
    this.#waiting.get(transactionOf(view.data))?.(view);
  }

  #deliver(received: Received): void {
    this.#received.push(received);
    this.#wake?.();
  }

  /** What came next through the relay. Rejects when nothing comes in time. */
  async receive({ within = 5_000 }: { within?: number } = {}): Promise<Received> {
    if (this.#received.length === 0) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`nothing was relayed within ${within} ms`)), within);
        this.#wake = () => {
          clearTimeout(timer);
          this.#wake = undefined;
          resolve();
        };
      });
    }
    return this.#received.shift()!;
  }

  /** Sends these bytes, whatever they are. */
  sendFrame(frame: Uint8Array): void {
    this.#wire.send(frame);
  }

  /** Sends one message as it is and resolves with the response to its transaction. */
  exchange(message: Uint8Array): Promise<StunView> {
    const { patience = 5_000, retransmit = retransmitMs } = this.#options;
    const id = transactionOf(message);
    return new Promise((resolve, reject) => {
      const again = this.#wire.stream ? undefined : setInterval(() => this.#wire.send(message), retransmit);
      const end = () => {
        clearInterval(again);
        clearTimeout(timer);
        this.#waiting.delete(id);
      };
      const timer = setTimeout(() => {
        end();
        reject(new Error(`no response within ${patience} ms`));
      }, patience);
      this.#waiting.set(id, (response) => {
        end();
        resolve(response);
      });
      this.#wire.send(message);
    });
  }

  /** A request without credentials. */
  plain(method: number, fill: Fill = () => {}): Promise<StunView> {
    const writer = new StunWriter().begin(method, MessageClass.Request, freshId());
    fill(writer);
    return this.exchange(writer.finish());
  }

  /** A request with credentials; a challenge is answered. Rejects with `Refused`. */
  async request(method: number, fill: Fill): Promise<StunView> {
    for (let attempt = 0; ; attempt++) {
      const response = await (this.#nonce === ""
        ? this.plain(method, fill)
        : this.exchange(this.#signed(method, fill)));
      if (response.class === MessageClass.Success) return response;
      const code = errorCode(response);
      // A 401 to a request that had credentials is final, and so is one after another.
      const challenged = (code === 401 && this.#nonce === "") || code === 438;
      if (!challenged || attempt === 2) throw new Refused(method, code, response);
      this.#takeChallenge(response);
    }
  }

  #takeChallenge(response: StunView): void {
    const { username = "", password = "", algorithm = "md5" } = this.#options;
    this.#realm = response.text(Attribute.Realm, 763) ?? "";
    this.#nonce = response.text(Attribute.Nonce, 763) ?? "";
    this.#algorithms = algorithm === "sha256" ? response.bytes(Attribute.PasswordAlgorithms) : undefined;
    const bytes = longTermKey(testCrypto, this.#algorithm(), username, this.#realm, password);
    this.#key = testCrypto.importKey(bytes);
  }

  #algorithm(): PasswordAlgorithmNumber {
    return this.#options.algorithm === "sha256" ? PasswordAlgorithmNumber.Sha256 : PasswordAlgorithmNumber.Md5;
  }

  #signed(method: number, fill: Fill): Uint8Array {
    const writer = new StunWriter().begin(method, MessageClass.Request, freshId());
    fill(writer);
    writer.text(Attribute.Username, this.#options.username ?? "");
    writer.text(Attribute.Realm, this.#realm).text(Attribute.Nonce, this.#nonce);
    if (this.#algorithms === undefined) return writer.integritySha1(testCrypto, this.#key!).finish();
    writer.bytes(Attribute.PasswordAlgorithms, this.#algorithms);
    writer.bytes(Attribute.PasswordAlgorithm, encodePasswordAlgorithms([this.#algorithm()]));
    return writer.integritySha256(testCrypto, this.#key!).finish();
  }

  /** The address from which the server sees this client. */
  async binding(): Promise<Address> {
    return addressIn(await this.plain(Method.Binding), Attribute.XorMappedAddress)!;
  }

  async allocate({
    lifetime,
    family,
    fill,
  }: {
    lifetime?: number;
    family?: Family;
    fill?: Fill;
  } = {}): Promise<Allocated> {
    const response = await this.request(Method.Allocate, (writer) => {
      writer.u32(Attribute.RequestedTransport, TRANSPORT_UDP * 0x1000000);
      if (lifetime !== undefined) writer.u32(Attribute.Lifetime, lifetime);
      const number = family === 6 ? FAMILY_IPV6 : FAMILY_IPV4;
      if (family !== undefined) writer.u32(Attribute.RequestedAddressFamily, number * 0x1000000);
      fill?.(writer);
    });
    return {
      relayed: addressesIn(response, Attribute.XorRelayedAddress),
      mapped: addressIn(response, Attribute.XorMappedAddress)!,
      lifetime: response.u32(Attribute.Lifetime)!,
      reservationToken: response.bytes(Attribute.ReservationToken),
    };
  }

  /** Resolves with the lifetime that was granted; 0 ends the allocation. */
  async refresh(lifetime: number): Promise<number> {
    const response = await this.request(Method.Refresh, (writer) => writer.u32(Attribute.Lifetime, lifetime));
    return response.u32(Attribute.Lifetime)!;
  }

  /** Opens permissions for these peers' IP addresses. */
  async permit(...peers: readonly (Readonly<Address> | string)[]): Promise<void> {
    await this.request(Method.CreatePermission, (writer) => {
      for (const peer of peers) writer.xorAddress(Attribute.XorPeerAddress, asAddress(peer));
    });
  }

  async bindChannel(channel: number, peer: Readonly<Address>): Promise<void> {
    await this.request(Method.ChannelBind, (writer) => {
      writer.u32(Attribute.ChannelNumber, channel * 0x10000).xorAddress(Attribute.XorPeerAddress, peer);
    });
  }

  /** A Send indication. */
  send(peer: Readonly<Address>, data: Uint8Array): void {
    const writer = new StunWriter().begin(Method.Send, MessageClass.Indication, freshId());
    this.#wire.send(writer.xorAddress(Attribute.XorPeerAddress, peer).bytes(Attribute.Data, data).finish());
  }

  /** ChannelData, padded on streams. */
  sendOnChannel(channel: number, data: Uint8Array): void {
    const padded = this.#wire.stream ? (data.length + 3) & ~3 : data.length;
    const message = new Uint8Array(CHANNEL_HEADER_LENGTH + padded);
    encodeChannelHeader(message, 0, channel, data.length);
    message.set(data, CHANNEL_HEADER_LENGTH);
    this.#wire.send(message);
  }

  async close(): Promise<void> {
    this.#wire.close();
    await this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function freshId(): Uint8Array {
  return messageId(randomBytes(12));
}

function transactionOf(message: Uint8Array): string {
  return Buffer.from(message.subarray(4, 20)).toString("hex");
}

export function errorCode(response: StunView): number {
  const value = response.bytes(Attribute.ErrorCode);
  return value === undefined ? 0 : (value[2]! & 7) * 100 + value[3]!;
}

function asAddress(peer: Readonly<Address> | string): Readonly<Address> {
  const address = typeof peer === "string" ? parseIp(peer, 1) : peer;
  if (address === undefined) throw new Error(`not an IP address: ${peer}`);
  return address;
}

function addressesIn(view: StunView, type: number): Address[] {
  const found: Address[] = [];
  for (let i = 0; i < view.attributeCount; i++) {
    const address = blankAddress();
    if (view.typeAt(i) === type && view.xorAddressAt(i, address)) found.push(address);
  }
  return found;
}

function addressIn(view: StunView, type: number): Address | undefined {
  return addressesIn(view, type)[0];
}
