/**
 * The TCP of one host: which segment is for which connection or listener, and a RST for what is for none.
 */
import { type Address, copyAddress, formatAddress, hashAddress } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import type { Instant } from "../../core/base/machine.ts";
import { AddressMap } from "../address-map.ts";
import { isMulticast } from "../link.ts";
import type { TcpPacket } from "../packet.ts";
import type { Surroundings } from "../surroundings.ts";
import { takeSyn } from "./arrive-syn-sent.ts";
import { Block, type BlockHost } from "./block.ts";
import { TcpConnection } from "./connection.ts";
import { type ListenOptions, TcpListener } from "./listener.ts";
import { Flag, has, isOpening } from "./segment.ts";
import { resetFor } from "./transmit.ts";

export interface ConnectOptions {
  /** Milliseconds until a connection that nobody answers is given up; three minutes when not given. */
  readonly timeout?: number;
}

/** RFC 9293 §3.8.3: a SYN is repeated for three minutes at least. */
const CONNECT_TIMEOUT = 180_000;

const SEED = 0x74637021;

export class TcpHost {
  readonly #name: string;
  readonly #surroundings: Surroundings;
  readonly #host: BlockHost;
  readonly #listeners: AddressMap<TcpListener> = new AddressMap();
  /** By local address, then by remote. */
  readonly #connections: AddressMap<AddressMap<TcpConnection>> = new AddressMap();

  constructor(name: string, surroundings: Surroundings, host: Omit<BlockHost, "now">) {
    this.#name = name;
    this.#surroundings = surroundings;
    const { agenda } = surroundings;
    this.#host = {
      get now(): Instant {
        return agenda.now;
      },
      send: (packet) => host.send(packet),
      mtu: (local) => host.mtu(local),
    };
  }

  isUsed(local: Readonly<Address>): boolean {
    if (this.#listeners.find(local) !== undefined) return true;
    for (const connection of [...(this.#connections.find(local)?.values() ?? [])]) {
      if (!connection.isOver(undefined)) return true;
      this.#forget(local, connection.remoteAddress, connection);
    }
    return false;
  }

  listen(
    local: Readonly<Address>,
    { backlog = 128 }: ListenOptions,
    onConnection: (connection: TcpConnection) => void,
  ): TcpListener {
    if (this.#listeners.find(local) !== undefined) {
      throw new PosternError("NATLAB_PORT", `Choose another port: ${this.#name} listens on ${local.port}.`);
    }
    const listener = new TcpListener(local, backlog, onConnection, () => this.#listeners.delete(local));
    this.#listeners.set(local, listener);
    return listener;
  }

  /** One local port may have connections to any number of remote addresses, and a listener besides. */
  connect(local: Readonly<Address>, remote: Readonly<Address>, options: ConnectOptions): TcpConnection {
    if (isMulticast(remote)) {
      throw new PosternError("NATLAB_ADDRESS", `Connect to one host, not to the group ${formatAddress(remote)}.`);
    }
    if (this.#find(local, remote, undefined) !== undefined) {
      throw new PosternError(
        "NATLAB_PORT",
        `Choose another port: ${this.#name} has a connection from ${local.port} to ${formatAddress(remote)}.`,
      );
    }
    const patience = options.timeout ?? CONNECT_TIMEOUT;
    const initial = this.#initialSequence(local, remote);
    const block = new Block(this.#host, local, copyAddress(remote), { initial, isPassive: false, patience });
    return this.#add(block, undefined);
  }

  receive(packet: TcpPacket): void {
    // RFC 9293 §3.9.2.3: what was sent to a group is for no connection, and is not answered.
    if (isMulticast(packet.destination)) return this.#surroundings.sightings.drop(this.#name, packet, "no-socket");
    const connection = this.#find(packet.destination, packet.source, packet);
    if (connection !== undefined) {
      this.#surroundings.sightings.delivered(this.#name, packet);
      return connection.handlePacket(packet);
    }
    const listener = this.#listeners.find(packet.destination);
    if (listener !== undefined && isOpening(packet.segment)) return this.#accept(listener, packet);
    this.#refuse(packet);
  }

  #accept(listener: TcpListener, packet: TcpPacket): void {
    const { sightings } = this.#surroundings;
    // A SYN that finds no room is dropped, not refused: its sender tries again.
    if (listener.isFull) return sightings.drop(this.#name, packet, "backlog");
    sightings.delivered(this.#name, packet);
    const local = copyAddress(packet.destination);
    const remote = copyAddress(packet.source);
    const initial = this.#initialSequence(local, remote);
    const block = new Block(this.#host, local, remote, { initial, isPassive: true, patience: CONNECT_TIMEOUT });
    takeSyn(block, packet.segment);
    listener.pending++;
    this.#add(block, listener);
  }

  /** RFC 9293 §3.5.2: nobody is there. */
  #refuse(packet: TcpPacket): void {
    this.#surroundings.sightings.drop(this.#name, packet, "no-socket");
    if (has(packet.segment, Flag.Rst)) return;
    this.#host.send(resetFor(packet));
  }

  #add(block: Block, listener: TcpListener | undefined): TcpConnection {
    const { local, remote } = block;
    let isPending = listener !== undefined;
    const leave = (): void => {
      if (listener !== undefined && isPending) listener.pending--;
      isPending = false;
    };
    const connection = new TcpConnection(block, {
      agenda: this.#surroundings.agenda,
      opened: (opened) => {
        leave();
        listener?.onConnection(opened);
      },
      released: (released) => {
        leave();
        this.#forget(local, remote, released);
      },
    });
    const known = this.#connections.find(local) ?? new AddressMap<TcpConnection>();
    known.set(remote, connection);
    this.#connections.set(local, known);
    return connection;
  }

  #find(local: Readonly<Address>, remote: Readonly<Address>, packet: TcpPacket | undefined): TcpConnection | undefined {
    const connection = this.#connections.find(local)?.find(remote);
    if (connection === undefined || !connection.isOver(packet)) return connection;
    this.#forget(local, remote, connection);
    return undefined;
  }

  #forget(local: Readonly<Address>, remote: Readonly<Address>, connection: TcpConnection): void {
    const known = this.#connections.find(local);
    if (known?.find(remote) !== connection) return;
    known.delete(remote);
    if (known.size === 0) this.#connections.delete(local);
  }

  /** RFC 9293 §3.4.1: a clock of four microseconds, and something of the addresses; no secret is needed here. */
  #initialSequence(local: Readonly<Address>, remote: Readonly<Address>): number {
    return (this.#host.now * 250 + hashAddress(remote, hashAddress(local, SEED))) >>> 0;
  }
}
