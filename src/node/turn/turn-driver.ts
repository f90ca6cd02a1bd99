/** Drives a TURN server. Media has inputs of its own: what they return leaves at once, and nothing is made for a packet. */
import type { Address, PeerAddress } from "../../core/base/address.ts";
import type { IpFields } from "../../core/base/ip-fields.ts";
import type { Instant } from "../../core/base/machine.ts";
import type { ClientPath } from "../../core/turn/server/client-path.ts";
import type { RelayId } from "../../core/turn/server/flow.ts";
import type { TurnServerOutput } from "../../core/turn/server/outputs.ts";
import type { TurnServer } from "../../core/turn/server/turn-server.ts";
import { wholeMilliseconds } from "../clock.ts";
import { Driver, type DriverHost } from "../driver.ts";
import type { Egress } from "./egress.ts";

export class TurnDriver extends Driver<TurnServer, TurnServerOutput> {
  readonly #egress: Egress;

  constructor(
    machine: TurnServer,
    egress: Egress,
    host: DriverHost<TurnServerOutput>,
    now: () => Instant = wholeMilliseconds,
  ) {
    super(machine, host, now);
    this.#egress = egress;
  }

  /** One datagram, or one frame of a stream, from a client; `fill` and `fields`: see `DatagramSink`. */
  clientDatagram(data: Uint8Array, length: number, from: ClientPath, fill?: number, fields?: IpFields): void {
    if (this.stopped) return;
    try {
      const forward = this.machine.handleClientDatagram(data, length, from, this.now(), fill, fields);
      if (forward !== undefined) this.#egress.forward(forward, data);
    } catch (cause) {
      this.fail(cause);
    }
    this.settle();
  }

  /** One datagram, `data[offset, offset + length)`, that another shard hands over to the relay at `to`. */
  shardDatagram(
    data: Uint8Array,
    offset: number,
    length: number,
    from: PeerAddress,
    to: Readonly<Address>,
    fields: IpFields,
  ): void {
    if (this.stopped) return;
    try {
      const forward = this.machine.handleShardDatagram(data, offset, length, from, to, this.now(), fields);
      if (forward !== undefined) this.#egress.forward(forward, data);
    } catch (cause) {
      this.fail(cause);
    }
    this.settle();
  }

  /** One datagram that arrived at a relay. */
  peerDatagram(data: Uint8Array, length: number, from: PeerAddress, relay: RelayId, fields?: IpFields): void {
    if (this.stopped) return;
    try {
      const forward = this.machine.handlePeerDatagram(data, length, from, relay, this.now(), fields);
      if (forward !== undefined) this.#egress.forward(forward, data);
    } catch (cause) {
      this.fail(cause);
    }
    this.settle();
  }
}
