/**
 * What looks like TLS 1.3 on a TCP connection: hellos that can be read, with the server's name; a round trip until it is
 * open; then records that nobody between can read. It proves nothing and keeps no secret: see `veil.ts`.
 */
import { type Address, hashAddress } from "../../core/base/address.ts";
import { concatBytes, copyBytes } from "../../core/base/bytes.ts";
import { PosternError } from "../../core/base/failure.ts";
import { SeededRandom } from "../seeded-random.ts";
import type { ByteStream, CloseReason } from "../tcp/byte-stream.ts";
import { decodeHello, encodeClientHello, encodeServerHello, type Hello } from "./hello.ts";
import { ContentType, encodeRecord, LONGEST_FRAGMENT, RecordReader, type TlsRecord } from "./records.ts";
import { Veil } from "./veil.ts";

/** Bytes of what a server sends behind its hello: certificates, most of it. */
const SERVER_FLIGHT = 2000;
const CLIENT_FLIGHT = 36;
/** RFC 8446 §6.1: close_notify, a warning. */
const closeNotify = Uint8Array.of(1, 0);
const SEED = 0x746c7321;

export class TlsStream implements ByteStream {
  onOpen: (() => void) | undefined = undefined;
  onData: ((data: Uint8Array) => void) | undefined = undefined;
  onEnd: (() => void) | undefined = undefined;
  onClose: ((reason: CloseReason) => void) | undefined = undefined;
  onDrain: (() => void) | undefined = undefined;
  readonly #stream: ByteStream;
  readonly #isClient: boolean;
  readonly #random: SeededRandom;
  readonly #records: RecordReader = new RecordReader();
  readonly #own: Uint8Array;
  #serverName: string | undefined;
  #veils: { readonly sent: Veil; readonly received: Veil } | undefined;
  #isOpen = false;
  #isPaused = false;
  #isEnding = false;
  #hasEnded = false;
  #failure: CloseReason | undefined;
  /** Written before it was open. */
  #early: Uint8Array[] = [];

  constructor(stream: ByteStream, isClient: boolean, serverName: string | undefined) {
    this.#stream = stream;
    this.#isClient = isClient;
    this.#serverName = serverName;
    const { localAddress, remoteAddress } = stream;
    this.#random = new SeededRandom(hashAddress(localAddress, hashAddress(remoteAddress, SEED)));
    this.#own = this.#random.bytes(32);
    stream.onData = (data) => this.#receive(data);
    stream.onEnd = () => this.#tellEnd();
    stream.onClose = (reason) => this.onClose?.(this.#failure ?? reason);
    stream.onDrain = () => this.onDrain?.();
    if (isClient) this.#sendHello(encodeClientHello(this.#own, this.#random.bytes(32), serverName), 0x0301);
  }

  get localAddress(): Readonly<Address> {
    return this.#stream.localAddress;
  }

  get remoteAddress(): Readonly<Address> {
    return this.#stream.remoteAddress;
  }

  /** The name that the client asked for; on the server, once it is open. */
  get serverName(): string | undefined {
    return this.#serverName;
  }

  write(data: Uint8Array): boolean {
    if (this.#isEnding) throw new PosternError("NATLAB_ENDED", "Write before you end the connection.");
    if (!this.#isOpen) {
      this.#early.push(copyBytes(data));
      return true;
    }
    return this.#sendData(data);
  }

  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    if (this.#isOpen) this.#sendEnd();
  }

  reset(): void {
    this.#stream.reset();
  }

  pause(): void {
    this.#isPaused = true;
    // Hands are shaken all the same: the program has asked for no data, not for no connection.
    if (this.#isOpen) this.#stream.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#read();
    if (!this.#isPaused) this.#stream.resume();
  }

  #sendHello(hello: Uint8Array, version = 0x0303): void {
    this.#stream.write(encodeRecord(ContentType.Handshake, hello, version));
  }

  #send(content: Uint8Array, type: number): boolean {
    const body = this.#veils?.sent.cover(content, type) ?? content;
    return this.#stream.write(encodeRecord(ContentType.ApplicationData, body));
  }

  /** RFC 8446 §5.1: cut into records. */
  #sendData(data: Uint8Array): boolean {
    let isReady = true;
    for (let at = 0; at < data.length; at += LONGEST_FRAGMENT) {
      isReady = this.#send(data.subarray(at, at + LONGEST_FRAGMENT), ContentType.ApplicationData);
    }
    return isReady;
  }

  #sendEnd(): void {
    this.#send(closeNotify, ContentType.Alert);
    this.#stream.end();
  }

  #receive(data: Uint8Array): void {
    this.#records.push(data);
    this.#read();
  }

  #read(): void {
    while (!(this.#isPaused && this.#isOpen) && this.#failure === undefined) {
      const record = this.#records.next();
      if (record === undefined) break;
      if (!this.#take(record)) this.#fail();
    }
    if (this.#records.hasFailed) this.#fail();
  }

  /** False for what TLS would not have sent here. */
  #take({ type, body }: TlsRecord): boolean {
    if (type === ContentType.ChangeCipherSpec) return true;
    if (this.#veils === undefined) return type === ContentType.Handshake && this.#takeHello(decodeHello(body));
    const inner = type === ContentType.ApplicationData ? this.#veils.received.uncover(body) : undefined;
    if (inner === undefined) return false;
    if (inner.type === ContentType.Handshake) this.#open();
    else if (inner.type === ContentType.Alert) this.#tellEnd();
    else this.onData?.(inner.content);
    return true;
  }

  #takeHello(hello: Hello | undefined): boolean {
    if (hello === undefined || hello.isClient === this.#isClient) return false;
    const [client, server] = this.#isClient ? [this.#own, hello.random] : [hello.random, this.#own];
    const [fromClient, fromServer] = [new Veil(client, server, 1), new Veil(client, server, 2)];
    if (this.#isClient) this.#veils = { sent: fromClient, received: fromServer };
    else {
      this.#serverName = hello.serverName;
      this.#sendHello(encodeServerHello(this.#own, hello.session));
      this.#stream.write(encodeRecord(ContentType.ChangeCipherSpec, Uint8Array.of(1)));
      this.#veils = { sent: fromServer, received: fromClient };
      this.#send(this.#random.bytes(SERVER_FLIGHT), ContentType.Handshake);
    }
    return true;
  }

  /** The other side's last flight is here. */
  #open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    if (this.#isPaused) this.#stream.pause();
    if (this.#isClient) this.#send(this.#random.bytes(CLIENT_FLIGHT), ContentType.Handshake);
    const early = concatBytes(...this.#early);
    this.#early = [];
    this.#sendData(early);
    if (this.#isEnding) this.#sendEnd();
    this.onOpen?.();
  }

  #tellEnd(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.onEnd?.();
  }

  #fail(): void {
    if (this.#failure !== undefined) return;
    this.#failure = "not-tls";
    this.#stream.reset();
  }
}

export interface TlsClientOptions {
  /** Told to the server in the clear, as TLS does. */
  readonly serverName?: string;
}

/** TLS as a client on a connection that is open or opens; all handlers of `stream` are taken. */
export function tlsClient(stream: ByteStream, { serverName }: TlsClientOptions = {}): TlsStream {
  return new TlsStream(stream, true, serverName);
}

/** TLS as a server on a connection that a listener took. `onOpen` is called once the client has shaken hands. */
export function tlsServer(stream: ByteStream): TlsStream {
  return new TlsStream(stream, false, undefined);
}
