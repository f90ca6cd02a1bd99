/**
 * A host: interfaces with addresses, UDP sockets bound to one address each, and TCP. A socket or connection sends by the
 * interface that holds its address and by no other, so a host with two interfaces is two ways out, as candidates want it.
 */
import { type Address, copyAddress, formatIp, sameIp } from "../core/base/address.ts";
import { copyBytes } from "../core/base/bytes.ts";
import { PosternError } from "../core/base/failure.ts";
import { AddressMap } from "./address-map.ts";
import { Groups } from "./groups.ts";
import { type Interface, isMulticast, type Link, type Node } from "./link.ts";
import type { Packet } from "./packet.ts";
import { type Surroundings, toAddress } from "./surroundings.ts";
import type { TcpConnection } from "./tcp/connection.ts";
import type { ListenOptions, TcpListener } from "./tcp/listener.ts";
import { type ConnectOptions, TcpHost } from "./tcp/tcp-host.ts";
import { type SendOptions, UdpSocket } from "./udp-socket.ts";

/** RFC 6335 §6: the ephemeral ports. */
const [FIRST_EPHEMERAL, LAST_EPHEMERAL] = [49_152, 65_535];

export interface SocketOptions {
  /** One of the host's addresses; its first when not given. */
  readonly address?: string;
  /** A free one when not given. */
  readonly port?: number;
}

export class Host implements Node {
  readonly name: string;
  readonly #surroundings: Surroundings;
  readonly #interfaces: Interface[] = [];
  readonly #groups: Groups = new Groups();
  readonly #sockets: AddressMap<UdpSocket> = new AddressMap();
  readonly #tcp: TcpHost;
  #nextPort = FIRST_EPHEMERAL;

  constructor(name: string, surroundings: Surroundings) {
    this.name = name;
    this.#surroundings = surroundings;
    this.#tcp = new TcpHost(name, surroundings, {
      send: (packet) => this.#dispatch(packet),
      mtu: (local) => this.#holding(local)?.link.conditions.mtu ?? 1500,
    });
  }

  /** Connects the host to `link` by an interface with these addresses. */
  attach(link: Link, ...addresses: readonly string[]): this {
    this.#interfaces.push(
      link.attach(
        this,
        addresses.map((text) => toAddress(text)),
      ),
    );
    return this;
  }

  /** Pulls the cable. Sockets stay, and reach nobody. */
  detach(link: Link): void {
    for (const attached of this.#interfaces.filter((one) => one.link === link)) {
      link.detach(attached);
      this.#interfaces.splice(this.#interfaces.indexOf(attached), 1);
    }
  }

  /** Every address of the host, port 0. */
  get addresses(): Readonly<Address>[] {
    return this.#interfaces.flatMap((attached) => attached.addresses);
  }

  /**
   * Throws a PosternError: NATLAB_ADDRESS for an address that is not the host's, NATLAB_PORT for a port in use, or when
   * none is free.
   */
  socket(options: SocketOptions = {}): UdpSocket {
    const isUsed = (local: Address): boolean => this.#sockets.find(local) !== undefined;
    const local = this.#local(options, this.addresses[0], isUsed);
    if (isUsed(local)) {
      throw new PosternError("NATLAB_PORT", `Choose another port: ${this.name} has a socket on ${local.port}.`);
    }
    const socket: UdpSocket = new UdpSocket(local, {
      send: (data, to, options) => this.#send(local, data, to, options),
      join: (group) => this.#groups.join(socket, group, this.#holding(local)),
      release: () => {
        this.#sockets.delete(local);
        this.#groups.leave(socket);
      },
    });
    this.#sockets.set(local, socket);
    return socket;
  }

  /**
   * Takes TCP connections on a port. `onConnection` gets each of them once it is open. Throws a PosternError:
   * NATLAB_ADDRESS for an address that is not the host's, NATLAB_PORT for a port on which it listens already.
   */
  listen(options: SocketOptions & ListenOptions, onConnection: (connection: TcpConnection) => void): TcpListener {
    const local = this.#local(options, this.addresses[0], (one) => this.#tcp.isUsed(one));
    return this.#tcp.listen(local, options, onConnection);
  }

  /**
   * Opens a TCP connection; set its handlers before time passes. How that went, `onOpen` or `onClose` says. Throws a
   * PosternError: NATLAB_ADDRESS for an address that is not the host's, or of another family; NATLAB_PORT for a port that
   * has a connection to the same place.
   */
  connect(to: Readonly<Address>, options: SocketOptions & ConnectOptions = {}): TcpConnection {
    const first = this.addresses.find(({ family }) => family === to.family);
    const local = this.#local(options, first, (one) => this.#tcp.isUsed(one));
    refuseOtherFamily(local, to);
    return this.#tcp.connect(local, to, options);
  }

  receive(packet: Packet, via: Interface | undefined): void {
    if (packet.protocol === "tcp") return this.#tcp.receive(packet);
    if (isMulticast(packet.destination)) return this.#receiveGroup(packet, via);
    const socket = this.#sockets.find(packet.destination);
    if (socket === undefined) return this.#surroundings.sightings.drop(this.name, packet, "no-socket");
    this.#surroundings.sightings.delivered(this.name, packet);
    socket.onMessage?.(packet.payload, packet.source);
  }

  #receiveGroup(packet: Packet, via: Interface | undefined): void {
    for (const socket of this.#groups.hearing(packet.destination)) {
      if (this.#holding(socket.address) !== via) continue;
      this.#surroundings.sightings.delivered(this.name, packet);
      socket.onMessage?.(copyBytes(packet.payload), packet.source);
    }
  }

  /** The address and port that a program asks for, or what it gets when it does not. */
  #local(
    { address: text, port }: SocketOptions,
    first: Address | undefined,
    isUsed: (one: Address) => boolean,
  ): Address {
    const ip = text === undefined ? first : toAddress(text);
    if (ip === undefined || this.#holding(ip) === undefined) {
      throw new PosternError("NATLAB_ADDRESS", `Attach ${this.name} to a link with ${text ?? "an address"} first.`);
    }
    const local = copyAddress(ip);
    if (port === undefined) return this.#withFreePort(local, isUsed);
    local.port = port;
    return local;
  }

  #withFreePort(local: Address, isUsed: (one: Address) => boolean): Address {
    for (let port = FIRST_EPHEMERAL; port <= LAST_EPHEMERAL; port++) {
      local.port = this.#nextPort;
      this.#nextPort = this.#nextPort === LAST_EPHEMERAL ? FIRST_EPHEMERAL : this.#nextPort + 1;
      if (!isUsed(local)) return local;
    }
    throw new PosternError("NATLAB_PORT", `Close some sockets: ${this.name} has no free port at ${formatIp(local)}.`);
  }

  #holding(ip: Readonly<Address>): Interface | undefined {
    for (const attached of this.#interfaces) {
      for (const own of attached.addresses) if (sameIp(own, ip)) return attached;
    }
    return undefined;
  }

  #send(source: Readonly<Address>, data: Uint8Array, to: Readonly<Address>, options: SendOptions): void {
    refuseOtherFamily(source, to);
    const payload = copyBytes(data);
    this.#dispatch({
      protocol: "udp",
      segment: undefined,
      source,
      destination: copyAddress(to),
      payload,
      hopLimit: options.hopLimit ?? 64,
      dontFragment: options.dontFragment ?? false,
      piece: payload.length + (to.family === 6 ? 48 : 28),
    });
  }

  /** Sends a packet of its own. */
  #dispatch(packet: Packet): void {
    const { agenda, sightings } = this.#surroundings;
    const { destination } = packet;
    const attached = this.#holding(packet.source);
    if (this.#holding(destination) !== undefined || isMulticast(destination)) {
      agenda.at(agenda.now, () => this.receive(packet, attached));
      if (!isMulticast(destination)) return;
    }
    if (attached === undefined) sightings.drop(this.name, packet, "unreachable");
    else attached.link.carry(packet, attached);
  }
}

function refuseOtherFamily(local: Readonly<Address>, to: Readonly<Address>): void {
  if (to.family === local.family) return;
  throw new PosternError("NATLAB_ADDRESS", `Send to the family of the socket's address, ${formatIp(local)}.`);
}
