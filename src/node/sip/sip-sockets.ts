/**
 * The sockets of the SIP edge: UDP, TCP and TLS. What arrives goes up as text with the flow that it came by; what is
 * sent goes down to a flow, or to a target, for which a connection is found or opened. Nothing here reads a message.
 */
import { X509Certificate } from "node:crypto";
import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { type Address, sameAddress } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import { nearest } from "../../core/base/nearest.ts";
import type { SipFlow, SipTarget, SipTransport } from "../../core/sip/flow.ts";
import type { Datapath } from "../datapath/datapath.ts";
import { DgramDatapath } from "../datapath/dgram.ts";
import { isWildcard, wildcardFailure } from "../datapath/wildcard.ts";
import type { ListenSpec } from "../net/listen-spec.ts";
import { limitsWithin } from "../net/stream-limits.ts";
import { StreamListener } from "../net/stream-listener.ts";
import type { TlsIdentity } from "../net/tls-identity.ts";
import { defaultSipStreamLimits, type SipStreamLimits } from "./limits.ts";
import { OutgoingConnections, type StreamTarget } from "./outgoing.ts";
import type { SipSink } from "./sink.ts";
import { SipStreams } from "./sip-streams.ts";
import { createSipSocketStats, type SipDrop, type SipSocketStats } from "./stats.ts";
import { SipUdpListener } from "./udp-listener.ts";

export interface SipSocketsOptions {
  readonly sink: SipSink;
  /** For datagrams; the sockets' from now on: `close` closes it. Node's own when not given. */
  readonly datapath?: Datapath;
  /** What is not given is as in `defaultSipStreamLimits`, where the limit of descriptors allows it. */
  readonly limits?: Partial<SipStreamLimits>;
  /** Certificates, in PEM, of the authorities that vouch for whom we connect to; the system's and Node's when not given. */
  readonly authorities?: readonly string[];
}

interface Listener {
  readonly socket: SipUdpListener | StreamListener;
  readonly transport: SipTransport;
  /** With the port that was bound, once it is. */
  address: Readonly<Address>;
}

export class SipSockets implements AsyncDisposable {
  readonly stats: Readonly<SipSocketStats>;
  readonly #sink: SipSink;
  readonly #stats: SipSocketStats;
  readonly #datapath: Datapath;
  readonly #streams: SipStreams;
  readonly #outgoing: OutgoingConnections;
  readonly #listeners: Set<Listener> = new Set();
  #lastListener = 0;
  #secureContext: SecureContext | undefined;
  #closing: Promise<void> | undefined;

  /** Opens nothing yet. Throws `PosternError` `bad-authorities`. */
  constructor({ sink, limits, authorities, datapath = new DgramDatapath() }: SipSocketsOptions) {
    if (authorities !== undefined) requireCertificates(authorities);
    this.#datapath = datapath;
    this.#sink = sink;
    this.#stats = createSipSocketStats(this.#datapath.stats);
    this.stats = this.#stats;
    this.#streams = new SipStreams(limitsWithin(defaultSipStreamLimits, limits), sink, this.#stats);
    this.#outgoing = new OutgoingConnections(
      this.#streams,
      // Made once, when it is needed: there are hundreds of authorities.
      () => (this.#secureContext ??= outgoingContext(authorities ?? knownAuthorities())),
      (why, onFailed) => this.#drop(why, onFailed),
    );
  }

  /**
   * Opens a listener, and resolves with the address that was bound. Rejects with `PosternError`: `address-busy`,
   * `address-gone`, `descriptors-exhausted`, `wildcard-address`, `permission-denied` (a port below 1024),
   * `bad-tls-identity`, `missing-tls-identity`, `closed`.
   */
  async listen(spec: ListenSpec): Promise<Readonly<Address>> {
    if (this.#closing !== undefined) throw socketsClosed();
    if (isWildcard(spec.address)) throw wildcardFailure(spec.address);
    const listener: Listener = { socket: this.#open(spec), transport: spec.transport, address: spec.address };
    this.#listeners.add(listener);
    try {
      listener.address = await listener.socket.open();
      if (this.#closing !== undefined) throw socketsClosed();
      return listener.address;
    } catch (error) {
      this.#listeners.delete(listener);
      throw error;
    }
  }

  /**
   * Sends a message, a binary string. To a flow it goes back the way that came, and by no other connection; to a target
   * of TCP or TLS by a connection to the same address and name that we opened before, or open now. `onFailed` is called
   * later, once, when it is known that the message did not leave.
   */
  send(to: SipFlow | SipTarget, text: string, onFailed?: () => void): void {
    const why = isFlow(to) ? this.#sendBack(to, text, onFailed) : this.#sendTo(to, text, onFailed);
    if (why !== undefined) this.#drop(why, onFailed);
  }

  /**
   * The address of ours that a message to there names as its sender's: that of the listener it leaves from. For what
   * leaves by a connection we open it is a listener of that transport, or of another where there is none. Undefined when
   * no listener has an address of that family.
   */
  localFor(to: SipFlow | SipTarget): Readonly<Address> | undefined {
    if (isFlow(to)) return this.#listenerAt(to)?.address ?? this.#nearest(to.transport, to.remote)?.address;
    return to.local ?? this.#nearest(to.transport, to.address)?.address;
  }

  /**
   * A connection that others opened belongs to somebody who has proven who it is, and stays for as long as that is so;
   * with false, a while longer.
   */
  settle(connection: number, isSettled: boolean = true): void {
    this.#streams.settle(connection, isSettled);
  }

  /**
   * New handshakes use this certificate, on every TLS listener; connections stay. Throws `PosternError`
   * `bad-tls-identity`, and then everything stays as it is.
   */
  updateTls(identity: TlsIdentity): void {
    for (const { socket } of this.#listeners) if (socket instanceof StreamListener) socket.updateTls(identity);
  }

  /** Sends what waits, for a second at most, closes everything, and resolves when the operating system has it back. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    for (const { socket } of this.#listeners) socket.close();
    this.#outgoing.close();
    await Promise.all([this.#streams.close(), this.#datapath.close()]);
  }

  #open({ transport, address, tls }: ListenSpec): SipUdpListener | StreamListener {
    if (transport === "udp") return new SipUdpListener(address, this.#datapath, this.#sink, this.#stats);
    if (transport === "tls" && tls === undefined) {
      throw new PosternError("missing-tls-identity", "A TLS listener needs a certificate and a key: give `tls`.");
    }
    return new StreamListener(++this.#lastListener, address, transport === "tls" ? tls : undefined, this.#streams);
  }

  #sendBack(to: SipFlow, text: string, onFailed: (() => void) | undefined): SipDrop | undefined {
    if (to.transport !== "udp") return this.#streams.send(to.connection, text, onFailed) ? undefined : "no-connection";
    const socket = this.#listenerAt(to)?.socket;
    return socket instanceof SipUdpListener && socket.send(text, to.remote) ? undefined : "not-sent";
  }

  #sendTo(to: SipTarget, text: string, onFailed: (() => void) | undefined): SipDrop | undefined {
    const { transport, local } = to;
    const named = local && this.#listenerAt({ transport, local });
    const from = named ?? this.#nearest(transport, to.address);
    if (isStream(to)) return this.#outgoing.send(to, local ?? from?.address, { text, onFailed });
    return from?.socket instanceof SipUdpListener && from.socket.send(text, to.address) ? undefined : "not-sent";
  }

  #listenerAt({ transport, local }: Pick<SipFlow, "transport" | "local">): Listener | undefined {
    for (const listener of this.#listeners) {
      if (listener.transport === transport && sameAddress(listener.address, local)) return listener;
    }
    return undefined;
  }

  #nearest(transport: SipTransport, to: Readonly<Address>): Listener | undefined {
    const listeners = [...this.#listeners];
    const same = listeners.filter((listener) => listener.transport === transport);
    return nearest(same, addressOf, to) ?? nearest(listeners, addressOf, to);
  }

  #drop(why: SipDrop, onFailed: (() => void) | undefined): void {
    this.#stats.dropped[why]++;
    if (onFailed !== undefined) queueMicrotask(onFailed);
  }
}

function addressOf({ address }: Listener): Readonly<Address> {
  return address;
}

function isFlow(to: SipFlow | SipTarget): to is SipFlow {
  return "connection" in to;
}

function isStream(to: SipTarget): to is StreamTarget {
  return to.transport !== "udp";
}

function knownAuthorities(): readonly string[] {
  return [...getCACertificates("default"), ...getCACertificates("system")];
}

function outgoingContext(authorities: readonly string[]): SecureContext {
  return createSecureContext({ ca: [...authorities], minVersion: "TLSv1.2" });
}

/** Because OpenSSL passes over what is none. */
function requireCertificates(authorities: readonly string[]): void {
  try {
    for (const authority of authorities) new X509Certificate(authority);
  } catch (cause) {
    throw badAuthorities(cause);
  }
}

function badAuthorities(cause: unknown): PosternError {
  return new PosternError("bad-authorities", "The authorities cannot be read: give each as a PEM certificate.", {
    cause,
  });
}

function socketsClosed(): PosternError {
  return new PosternError("closed", "These sockets are closed: make new ones.");
}
