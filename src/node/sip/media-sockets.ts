/** The sockets of relayed media: opened and closed as the edge asks. What comes to one leaves by another, or is dropped. */
import type { Address } from "../../core/base/address.ts";
import { type IpFields, NO_FIELDS, onward, SPENT } from "../../core/base/ip-fields.ts";
import type { MediaFlow } from "../../core/relay/media-flow.ts";
import type { PortId } from "../../core/relay/outputs.ts";
import type { BindFailure, DatagramSink, Datapath, SocketId } from "../datapath/datapath.ts";
import type { SipDriver } from "./sip-driver.ts";

/** No socket has this number, so that a datapath drops and counts what is sent to it. */
const NO_SOCKET = -1;

class MediaSocket implements DatagramSink {
  readonly #port: PortId;
  readonly #driver: SipDriver;
  readonly #sockets: MediaSockets;

  constructor(port: PortId, driver: SipDriver, sockets: MediaSockets) {
    this.#port = port;
    this.#driver = driver;
    this.#sockets = sockets;
  }

  handleBound(): void {
    this.#driver.input((edge, now) => edge.handlePortBound(this.#port, now));
  }

  handleBindFailed(_socket: SocketId, why: BindFailure): void {
    this.#sockets.forget(this.#port);
    this.#driver.input((edge, now) => edge.handlePortFailed(this.#port, why, now));
  }

  handleDatagram(
    data: Uint8Array,
    length: number,
    from: Readonly<Address>,
    _fill?: number,
    fields: IpFields = NO_FIELDS,
  ): void {
    const carried = onward(fields);
    if (carried === SPENT) return this.#driver.spent(this.#port);
    const route = this.#driver.packet(data, length, from, this.#port);
    if (route !== undefined) this.#sockets.send(route.port, data, length, route.remote, carried);
  }
}

export class MediaSockets {
  readonly #datapath: Datapath;
  readonly #driver: SipDriver;
  readonly #sockets: SocketId[] = [];

  constructor(datapath: Datapath, driver: SipDriver) {
    this.#datapath = datapath;
    this.#driver = driver;
  }

  open(port: PortId, address: Readonly<Address>): void {
    this.#sockets[port] = this.#datapath.bind(address, "relay", new MediaSocket(port, this.#driver, this));
  }

  close(port: PortId): void {
    this.#datapath.release(this.#sockets[port] ?? NO_SOCKET);
    this.forget(port);
  }

  /** It is closed already. */
  forget(port: PortId): void {
    this.#sockets[port] = NO_SOCKET;
  }

  offload(flow: MediaFlow): void {
    const [arrival, departure] = [this.#sockets[flow.arrival.port], this.#sockets[flow.departure.port]];
    if (arrival === undefined || departure === undefined) return;
    this.#datapath.offloadMedia(flow, arrival, departure);
  }

  withdraw(flow: MediaFlow): void {
    this.#datapath.withdraw(flow);
  }

  send(port: PortId, data: Uint8Array, length: number, to: Readonly<Address>, fields?: IpFields): void {
    this.#datapath.send(this.#sockets[port] ?? NO_SOCKET, data, 0, length, to, fields);
  }
}
