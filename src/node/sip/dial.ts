/** A connection that we are opening, and the messages that wait for it. */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { checkServerIdentity, connect as connectTls, type SecureContext } from "node:tls";
import { type Address, formatIp } from "../../core/base/address.ts";
import type { SipTarget } from "../../core/sip/flow.ts";
import { keepAliveMs } from "../net/stream-listener.ts";

export interface Waiting {
  readonly text: string;
  readonly onFailed: (() => void) | undefined;
}

export interface DialSink {
  handleOpen(socket: Socket): void;
  /** The socket is closed. */
  handleFailed(): void;
}

export class Dial {
  readonly waiting: Waiting[] = [];
  waitingBytes = 0;
  readonly #socket: Socket;

  /** `from`: the local IP address to connect from. `secureContext`: which authorities are trusted. */
  constructor(
    to: SipTarget,
    from: Readonly<Address> | undefined,
    secureContext: () => SecureContext,
    connectMs: number,
    sink: DialSink,
  ) {
    const where = { host: formatIp(to.address), port: to.address.port, ...(from && { localAddress: formatIp(from) }) };
    const isSecure = to.transport === "tls";
    const socket = isSecure
      ? connectTls({ ...where, ...identity(to), secureContext: secureContext() })
      : connectTcp(where);
    this.#socket = socket;
    const timer = setTimeout(() => socket.destroy(), connectMs).unref();
    const handleClose = (): void => {
      clearTimeout(timer);
      sink.handleFailed();
    };
    socket.on("error", ignore);
    socket.once("close", handleClose);
    socket.once(isSecure ? "secureConnect" : "connect", () => {
      clearTimeout(timer);
      socket.off("close", handleClose);
      socket.setNoDelay(true);
      socket.setKeepAlive(true, keepAliveMs);
      sink.handleOpen(socket);
    });
  }

  wait(message: Waiting): void {
    this.waiting.push(message);
    this.waitingBytes += message.text.length;
  }

  close(): void {
    this.#socket.destroy();
  }
}

// RFC 5922 §7.2: the certificate is checked against the name that was resolved, whatever address that led to.
// DEVIATES RFC 5922 §7.2: a certificate with a wildcard is good for the name, because many providers' have one.
function identity({ serverName, address }: SipTarget) {
  const name = serverName ?? formatIp(address);
  return {
    ...(isIP(name) === 0 && { servername: name }),
    checkServerIdentity: (_host: string, certificate: Parameters<typeof checkServerIdentity>[1]) =>
      checkServerIdentity(name, certificate),
  };
}

/** Every failure also closes the socket, which is what counts. */
function ignore(): void {}
