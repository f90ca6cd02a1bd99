/**
 * The connections that we open, one for each place: a new message goes over one that is open, or waits for one. A message
 * that could not be sent is told of, and nothing is tried twice: where else it may go is for others to know.
 */
import type { SecureContext } from "node:tls";
import { type Address, formatAddress } from "../../core/base/address.ts";
import type { SipTarget } from "../../core/sip/flow.ts";
import { Dial, type Waiting } from "./dial.ts";
import type { SipConnection } from "./sip-connection.ts";
import type { SipStreams } from "./sip-streams.ts";
import type { SipDrop } from "./stats.ts";

export interface StreamTarget extends SipTarget {
  readonly transport: "tcp" | "tls";
}

/** Why a message was dropped; undefined when it was sent, or waits. */
type Outcome = SipDrop | undefined;

export class OutgoingConnections {
  readonly #streams: SipStreams;
  readonly #secureContext: () => SecureContext;
  /** Tells whoever sent a message that it is lost. */
  readonly #drop: (why: SipDrop, onFailed: (() => void) | undefined) => void;
  readonly #places: Map<string, Dial | SipConnection> = new Map();
  #isClosed = false;

  constructor(
    streams: SipStreams,
    secureContext: () => SecureContext,
    drop: (why: SipDrop, onFailed: (() => void) | undefined) => void,
  ) {
    this.#streams = streams;
    this.#secureContext = secureContext;
    this.#drop = drop;
  }

  /** `from`: the local IP address that a new connection is opened from. */
  send(to: StreamTarget, from: Readonly<Address> | undefined, message: Waiting): Outcome {
    const key = `${to.transport} ${formatAddress(to.address)} ${to.serverName?.toLowerCase() ?? ""}`;
    const place = this.#places.get(key);
    if (place instanceof Dial) return this.#wait(place, message);
    if (place?.isOpen === true) return place.send(message.text, message.onFailed) ? undefined : "no-connection";
    if (this.#isClosed) return "no-connection";
    if (this.#places.size >= this.#streams.limits.outgoing) return "outgoing";
    return this.#wait(this.#open(key, to, from), message);
  }

  /** Gives up what is being opened. */
  close(): void {
    this.#isClosed = true;
    for (const place of this.#places.values()) if (place instanceof Dial) place.close();
  }

  #open(key: string, to: StreamTarget, from: Readonly<Address> | undefined): Dial {
    const { limits, stats } = this.#streams;
    const opening = this.#streams.opening();
    const dial = new Dial(to, from, this.#secureContext, limits.connectMs, {
      handleOpen: (socket) => {
        stats.connects.opened++;
        const connection = this.#streams.serveOurs(socket, to.transport, to.address, opening, () =>
          this.#forget(key, connection),
        );
        this.#places.set(key, connection);
        for (const { text, onFailed } of dial.waiting) {
          if (!connection.send(text, onFailed)) this.#drop("no-connection", onFailed);
        }
      },
      handleFailed: () => {
        stats.connects.failed++;
        opening.place.leave(this.#isClosed ? "shutdown" : "error");
        this.#forget(key, dial);
        for (const { onFailed } of dial.waiting) this.#drop("no-connection", onFailed);
      },
    });
    this.#places.set(key, dial);
    return dial;
  }

  #forget(key: string, place: Dial | SipConnection): void {
    if (this.#places.get(key) === place) this.#places.delete(key);
  }

  #wait(dial: Dial, message: Waiting): Outcome {
    const { waitingMessages, waitingBytes } = this.#streams.limits;
    if (dial.waiting.length >= waitingMessages || dial.waitingBytes + message.text.length > waitingBytes)
      return "waiting";
    dial.wait(message);
    return undefined;
  }
}
