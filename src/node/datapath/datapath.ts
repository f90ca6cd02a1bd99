/**
 * A datapath moves datagrams: it opens sockets, hands up what arrives and sends what it is told to. The core decides
 * where packets go. An implementation may be Node's own sockets, batched system calls, or a wrapper that lets the
 * kernel forward established flows by itself; nothing above can tell them apart but by `stats`.
 *
 * Nothing here makes an object per packet, and nothing waits: `send` says at once whether the datagram left, and the
 * end of a `bind` is an input that comes later, as in a machine.
 */
import type { Address } from "../../core/base/address.ts";
import type { IpFields } from "../../core/base/ip-fields.ts";
import type { MediaFlow } from "../../core/relay/media-flow.ts";
import type { IcmpError } from "../../core/turn/icmp.ts";
import type { Flow } from "../../core/turn/server/flow.ts";
import type { OffloadStats } from "./ebpf/offload-stats.ts";

/** Names one socket of a datapath. Small integers, reused after release. */
export type SocketId = number;

/**
 * What a socket is for, which decides how much memory its buffers may take: there are few listeners, and each carries
 * many clients; there are many relays. On a `turn-listener` requests and media come side by side: where the system can
 * tell them apart, each have a queue of their own.
 */
export type SocketPurpose = "listener" | "turn-listener" | "relay";

/** `busy`: the port is somebody else's; `exhausted`: no descriptor or memory is left; `gone`: the address is not ours. */
export type BindFailure = "busy" | "exhausted" | "gone";

/** Where one socket's inputs go. Calls come from the datapath's own turn of the event loop, never from inside `bind`. */
export interface DatagramSink {
  /** The socket is open. `address` is the sink's to keep, its port the one that was bound. */
  handleBound(socket: SocketId, address: Readonly<Address>): void;
  /** The socket never opened; its number is free again. `cause`: the operating system's error. */
  handleBindFailed(socket: SocketId, why: BindFailure, cause: Error): void;
  /**
   * One datagram: `data[0, length)`, from `from`, both borrowed until the call returns. The bytes may be handed to
   * `send` of the same datapath, which keeps what it needs. `fill`: how full the queue was that it came out of, from 0 to
   * 1; undefined where that cannot be told. `fields`: with what it came to a `turn-listener` or a `relay`; undefined where
   * that cannot be told.
   */
  handleDatagram(data: Uint8Array, length: number, from: Readonly<Address>, fill?: number, fields?: IpFields): void;
  /**
   * An ICMP message about a datagram that was sent to `to`, which is borrowed. Only a sink that has this is told, and only
   * where the system can.
   */
  handleIcmp?: ((to: Readonly<Address>, error: IcmpError) => void) | undefined;
}

/**
 * Why a datagram did not leave. `queue-full`: the kernel's buffer is full and so is the bounded queue behind it;
 * `too-long`: more than a datagram can hold, or than the way can carry of one that must not be cut up; `unreachable`: port 0, or an address of the other family; `closed`: the
 * socket is not open.
 */
export const SEND_DROPS = ["queue-full", "too-long", "unreachable", "closed"] as const;
export type SendDrop = (typeof SEND_DROPS)[number];

/** Whose queue in the kernel a datagram found full: a listener's, that of its requests alone, or a relay's. */
export type ReceiveQueue = "listener" | "requests" | "relay";

/** Plain numbers that only grow, but for `sockets`; read when somebody scrapes. */
export interface DatapathStats {
  /** Open now. */
  sockets: number;
  packetsIn: number;
  bytesIn: number;
  /** Handed to the kernel or queued for it. */
  packetsOut: number;
  bytesOut: number;
  drops: Record<SendDrop, number>;
  /** Errors that the operating system reported on an open socket, none of which closed it. */
  socketErrors: number;
  bindFailures: Record<BindFailure, number>;
  /**
   * Datagrams that came and that the kernel dropped, since the queue had no room or a checksum was wrong. Asked of the
   * kernel whenever it is read; undefined where it cannot be told.
   */
  readonly unreceived?: Readonly<Record<ReceiveQueue, number>>;
}

/**
 * Bytes that sockets ask for; the kernel gives up to net.core.rmem_max, and uses what arrives while nobody reads. A relay
 * carries one allocation: so much is 60 ms of 20,000 small packets a second.
 */
export const RECEIVE_BUFFER: Readonly<Record<ReceiveQueue, number>> = {
  listener: 4 << 20,
  requests: 4 << 20,
  relay: 512 << 10,
};

/** The longest payload of one datagram: 65,535 bytes less the UDP header, and for IPv4 less the IP header. */
export const MAX_PAYLOAD = { 4: 65_507, 6: 65_527 } as const;

export function createDatapathStats(): DatapathStats {
  return {
    sockets: 0,
    packetsIn: 0,
    bytesIn: 0,
    packetsOut: 0,
    bytesOut: 0,
    drops: { "queue-full": 0, "too-long": 0, unreachable: 0, closed: 0 },
    socketErrors: 0,
    bindFailures: { busy: 0, exhausted: 0, gone: 0 },
  };
}

export interface Datapath {
  /** Whether traffic class and hop limit of what comes are told, and those of what leaves can be said. */
  readonly carriesFields: boolean;
  readonly stats: Readonly<DatapathStats>;
  /** Of flows that it forwards without their packets coming up; undefined where nobody asked for that. */
  offloaded?: Readonly<OffloadStats>;

  /**
   * Opens a UDP socket on exactly this address and port (0: any free one), never a wildcard; IPv6 sockets take no
   * IPv4. The sink hears how it ended. Throws `PosternError` `wildcard-address` for 0.0.0.0 and `::`.
   */
  bind(address: Readonly<Address>, purpose: SocketPurpose, sink: DatagramSink): SocketId;

  /**
   * Gives an open socket away as a descriptor: its sink hears nothing more, and what arrives waits in it for who adopts it.
   * Undefined where it is not open, or the datapath cannot.
   */
  detach?(socket: SocketId): number | undefined;

  /**
   * Takes over what another datapath of the same kind has detached, which is bound to this address; the sink hears of it as
   * of a socket that was opened. Undefined where the datapath cannot.
   */
  adopt?(
    descriptor: number,
    address: Readonly<Address>,
    purpose: SocketPurpose,
    sink: DatagramSink,
  ): SocketId | undefined;

  /** Closes a socket, open or opening: its sink hears nothing more. Unknown numbers are ignored. */
  release(socket: SocketId): void;

  /**
   * Sends `data[offset, offset + length)`, which must not change afterwards. True when it was given to the kernel or
   * queued for it; false when it was dropped, and counted. `to` may be given its text here, for next time.
   * `fields`: with what it leaves, where the datapath can say so (DF: over IPv4).
   */
  send(
    socket: SocketId,
    data: Uint8Array,
    offset: number,
    length: number,
    to: Readonly<Address>,
    fields?: IpFields,
  ): boolean;

  /** The same, behind a ChannelData header for `channel` (RFC 8656 §12.4). */
  sendChannelData(
    socket: SocketId,
    channel: number,
    data: Uint8Array,
    offset: number,
    length: number,
    to: Readonly<Address>,
    fields?: IpFields,
  ): boolean;

  /**
   * Hints, which may be ignored: this flow's packets, between these two sockets, may be forwarded without coming up,
   * or must come up again. A datapath that forwards adds to the flow's counters, and does so no longer than the flow says.
   * `other`: the relay's, or, where another client of this server sends, that client's.
   */
  offload(flow: Flow, client: SocketId, other: SocketId): void;
  /** The same for media of a call, which comes to the one socket and leaves by the other. */
  offloadMedia(flow: MediaFlow, arrival: SocketId, departure: SocketId): void;
  withdraw(flow: Flow | MediaFlow): void;

  /** Releases every socket and resolves when the operating system has them back. */
  close(): Promise<void>;
}
