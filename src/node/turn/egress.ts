/** The ways out: which socket or connection the bytes for a client, or for a peer, leave by. */
import type { Address } from "../../core/base/address.ts";
import type { IpFields } from "../../core/base/ip-fields.ts";
import type { ClientPath } from "../../core/turn/server/client-path.ts";
import type { Flow, Forward, RelayId } from "../../core/turn/server/flow.ts";
import { NOBODY } from "../../core/turn/server/shard.ts";
import type { Datapath, SocketId } from "../datapath/datapath.ts";

/** What the streams can send; `connection` is a `ClientPath`'s. */
export interface StreamOutlet {
  /** A whole frame. */
  sendFrame(connection: number, frame: Uint8Array): void;
  sendChannelData(connection: number, channel: number, data: Uint8Array, offset: number, length: number): void;
}

/** What takes packets to other shards. */
export interface ShardOutlet {
  send(
    shard: number,
    data: Uint8Array,
    offset: number,
    length: number,
    from: Readonly<Address>,
    to: Readonly<Address>,
    fields: IpFields,
  ): void;
}

/** No socket has this number, so that a datapath drops and counts what is sent to it. */
const NO_SOCKET = -1;

export class Egress {
  readonly #datapath: Datapath;
  readonly #streams: StreamOutlet;
  readonly #shards: ShardOutlet | undefined;
  readonly #relays: SocketId[] = [];
  readonly #listeners: SocketId[] = [];

  constructor(datapath: Datapath, streams: StreamOutlet, shards?: ShardOutlet) {
    this.#datapath = datapath;
    this.#streams = streams;
    this.#shards = shards;
  }

  setRelay(relay: RelayId, socket: SocketId): void {
    this.#relays[relay] = socket;
  }

  removeRelay(relay: RelayId): void {
    this.#relays[relay] = NO_SOCKET;
  }

  setListener(listener: number, socket: SocketId): void {
    this.#listeners[listener] = socket;
  }

  removeListener(listener: number): void {
    this.#listeners[listener] = NO_SOCKET;
  }

  relaySocket(relay: RelayId): SocketId {
    return this.#relays[relay] ?? NO_SOCKET;
  }

  forward({ flow, offset, length, fields, shard, source }: Forward, data: Uint8Array): void {
    if (shard !== NOBODY) {
      this.#shards?.send(shard, data, offset, length, source, flow.peer, fields);
      return;
    }
    if (flow.toward === "peer") {
      this.#datapath.send(this.relaySocket(flow.relay), data, offset, length, flow.peer, fields);
      return;
    }
    const { client } = flow;
    if (client.transport === "udp") {
      const socket = this.#listenerSocket(client.listener);
      this.#datapath.sendChannelData(socket, flow.channel, data, offset, length, client.remote, fields);
    } else this.#streams.sendChannelData(client.connection, flow.channel, data, offset, length);
  }

  /** Sends a whole message to a client. */
  send(to: ClientPath, data: Uint8Array, fields?: IpFields): void {
    if (to.transport === "udp") {
      this.#datapath.send(this.#listenerSocket(to.listener), data, 0, data.length, to.remote, fields);
    } else this.#streams.sendFrame(to.connection, data);
  }

  /** Flows of stream clients are no datapath's business. */
  offload(flow: Flow): void {
    if (!isUdp(flow)) return;
    const { client, sender, relay } = flow;
    const other = sender === undefined ? this.relaySocket(relay) : this.#listenerSocket(sender.client.listener);
    this.#datapath.offload(flow, this.#listenerSocket(client.listener), other);
  }

  withdraw(flow: Flow): void {
    if (isUdp(flow)) this.#datapath.withdraw(flow);
  }

  #listenerSocket(listener: number): SocketId {
    return this.#listeners[listener] ?? NO_SOCKET;
  }
}

function isUdp({ client, sender }: Flow): boolean {
  return client.transport === "udp" && (sender === undefined || sender.client.transport === "udp");
}
