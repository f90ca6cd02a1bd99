/** The sockets of relayed transport addresses: opened and closed as the machine asks, each a source of its inputs. */
import type { Address } from "../../core/base/address.ts";
import type { IpFields } from "../../core/base/ip-fields.ts";
import type { IcmpError } from "../../core/turn/icmp.ts";
import type { RelayId } from "../../core/turn/server/flow.ts";
import type { BindFailure, DatagramSink, Datapath, SocketId } from "../datapath/datapath.ts";
import { closeDescriptor } from "../sys/udp-socket.ts";
import type { Egress } from "./egress.ts";
import type { TurnDriver } from "./turn-driver.ts";

class RelaySocket implements DatagramSink {
  readonly #relay: RelayId;
  readonly #driver: TurnDriver;
  readonly #egress: Egress;

  constructor(relay: RelayId, driver: TurnDriver, egress: Egress) {
    this.#relay = relay;
    this.#driver = driver;
    this.#egress = egress;
  }

  handleBound(): void {
    this.#driver.input((machine, now) => machine.handleRelayBound(this.#relay, now));
  }

  handleBindFailed(_socket: SocketId, why: BindFailure): void {
    this.#egress.removeRelay(this.#relay);
    this.#driver.input((machine, now) => machine.handleRelayFailed(this.#relay, why, now));
  }

  handleDatagram(data: Uint8Array, length: number, from: Readonly<Address>, _fill?: number, fields?: IpFields): void {
    this.#driver.peerDatagram(data, length, from, this.#relay, fields);
  }

  handleIcmp(to: Readonly<Address>, error: IcmpError): void {
    this.#driver.input((machine, now) => machine.handlePeerError(to, this.#relay, error, now));
  }
}

export class RelaySockets {
  readonly #datapath: Datapath;
  readonly #driver: TurnDriver;
  readonly #egress: Egress;

  constructor(datapath: Datapath, driver: TurnDriver, egress: Egress) {
    this.#datapath = datapath;
    this.#driver = driver;
    this.#egress = egress;
  }

  open(relay: RelayId, address: Readonly<Address>): void {
    const sink = new RelaySocket(relay, this.#driver, this.#egress);
    this.#egress.setRelay(relay, this.#datapath.bind(address, "relay", sink));
  }

  /** Takes over a socket that is open. */
  adopt(relay: RelayId, descriptor: number, address: Readonly<Address>): void {
    const sink = new RelaySocket(relay, this.#driver, this.#egress);
    const socket = this.#datapath.adopt?.(descriptor, address, "relay", sink);
    if (socket !== undefined) return this.#egress.setRelay(relay, socket);
    closeDescriptor(descriptor);
    this.#driver.input((machine, now) => machine.handleRelayFailed(relay, "exhausted", now));
  }

  /** Gives the socket away; undefined where that cannot be. */
  detach(relay: RelayId): number | undefined {
    const descriptor = this.#datapath.detach?.(this.#egress.relaySocket(relay));
    this.#egress.removeRelay(relay);
    return descriptor;
  }

  close(relay: RelayId): void {
    this.#datapath.release(this.#egress.relaySocket(relay));
    this.#egress.removeRelay(relay);
  }
}
