/** The requests that tests are made of. */
import type { Address } from "../../base/address.ts";
import { sameIp } from "../../base/address.ts";
import type { Random } from "../../base/ports.ts";
import { Attribute, HEADER_LENGTH, MessageClass, Method } from "../registry.ts";
import { messageId, StunWriter } from "../writer.ts";
import { ask, type Outcome, type ProbeSocket, type Procedure } from "./procedure.ts";

/** What a server has to offer: itself, and where it answers besides. */
export interface Server {
  readonly address: Readonly<Address>;
  /** Another IP address and another port; undefined where it has none. */
  readonly other: Readonly<Address> | undefined;
}

/** The address's IP with the port of another. */
export function withPort(ip: Readonly<Address>, { port }: Readonly<Address>): Readonly<Address> {
  return { ...ip, port };
}

const HEADERS = { 4: 28, 6: 48 } as const;

export class Probes {
  readonly #random: Random;
  readonly #writer = new StunWriter();

  constructor(random: Random) {
    this.#random = random;
  }

  #begin(messageClass: MessageClass = MessageClass.Request): StunWriter {
    return this.#writer.begin(Method.Binding, messageClass, messageId(this.#random.bytes(12)));
  }

  /** A Binding, whose answer counts only from where it was asked. */
  plain(socket: ProbeSocket, to: Readonly<Address>): Procedure<Outcome> {
    return ask({ socket, to, request: this.#begin().finish(), from: [to], on: [socket] });
  }

  /** As a client of RFC 3489 asks, so that the answer has a plain address. */
  classic(socket: ProbeSocket, to: Readonly<Address>): Procedure<Outcome> {
    const id = this.#random.bytes(16);
    // Any first byte but the magic cookie's will do.
    id[0] = 0;
    const request = this.#writer.begin(Method.Binding, MessageClass.Request, id).finish();
    return ask({ socket, to, request, from: [to], on: [socket] });
  }

  /** CHANGE-REQUEST: the answer is wanted from `wanted`, and taken from `to` as well, which is how a server ignores it. */
  change(socket: ProbeSocket, to: Readonly<Address>, flags: number, wanted: Readonly<Address>): Procedure<Outcome> {
    const request = this.#begin().u32(Attribute.ChangeRequest, flags).finish();
    return ask({ socket, to, request, from: [wanted, to], on: [socket] });
  }

  /** The same, behind a datagram to `wanted` that goes `hopLimit` hops, and is to open every filter on its way. */
  changeBehind(
    hopLimit: number,
    socket: ProbeSocket,
    to: Readonly<Address>,
    flags: number,
    wanted: Readonly<Address>,
  ): Procedure<Outcome> {
    const ahead = { to: wanted, message: this.indication(), hopLimit };
    const request = this.#begin().u32(Attribute.ChangeRequest, flags).finish();
    return ask({ socket, to, request, from: [wanted, to], on: [socket], ahead });
  }

  /** RESPONSE-PORT: asked through `socket`, the answer is wanted at `port`, which is `mapped`'s. */
  elsewhere(socket: ProbeSocket, to: Readonly<Address>, mapped: ProbeSocket, port: number): Procedure<Outcome> {
    const request = this.#begin()
      .u32(Attribute.ResponsePort, port * 0x10000)
      .finish();
    return ask({ socket, to, request, from: [to], on: [mapped, socket] });
  }

  /** A Binding in a datagram of `bytes`, IP header included. */
  padded(socket: ProbeSocket, to: Readonly<Address>, bytes: number): Procedure<Outcome> {
    const padding = new Uint8Array(bytes - HEADERS[to.family] - HEADER_LENGTH - 4);
    const request = this.#begin().bytes(Attribute.Padding, padding).finish();
    return ask({ socket, to, request, from: [to], on: [socket] });
  }

  /** To one of our own public addresses: it comes back to `on`, or not. */
  hairpin(socket: ProbeSocket, to: Readonly<Address>, on: ProbeSocket): Procedure<Outcome> {
    return ask({ socket, to, request: this.#begin().finish(), from: undefined, on: [on] });
  }

  /** Is never answered, and so refreshes a binding from the inside alone. */
  indication(): Uint8Array {
    return this.#begin(MessageClass.Indication).finish();
  }
}

/** RFC 5780 §7.4: another address is another IP address and another port, of the same family. */
export function otherAddress(
  server: Readonly<Address>,
  other: Readonly<Address> | undefined,
): Readonly<Address> | undefined {
  if (other === undefined || other.family !== server.family) return undefined;
  return sameIp(other, server) || other.port === server.port || other.port === 0 ? undefined : other;
}
