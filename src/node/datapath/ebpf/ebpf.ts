/**
 * A datapath around another, which lets the kernel forward established flows by itself: a packet of theirs is rewritten
 * where it comes in and leaves at once, and user space never sees it. Everything else, and everything unusual, comes to the
 * datapath inside. The truth stays above: what is forwarded is what the core says, for as long as it says so. A daemon that
 * stalls does not renew the lease, and then its packets wait for it as they would without us.
 */
import type { Address } from "../../../core/base/address.ts";
import type { IpFields } from "../../../core/base/ip-fields.ts";
import type { MediaFlow } from "../../../core/relay/media-flow.ts";
import type { Flow, Sender } from "../../../core/turn/server/flow.ts";
import type { DatagramSink, Datapath, DatapathStats, SocketId, SocketPurpose } from "../datapath.ts";
import { KernelForwarding, type OffloadReports } from "./kernel-forwarding.ts";
import { createOffloadStats, type OffloadStats } from "./offload-stats.ts";
import type { ProgramSource } from "./program-source.ts";

function at({ client: { remote }, channel }: Sender) {
  return { remote, channel };
}

/** Remembers to which address a socket was bound. */
class BoundSink implements DatagramSink {
  readonly #inner: DatagramSink;
  readonly #remember: (socket: SocketId, address: Readonly<Address>) => void;
  readonly handleIcmp: DatagramSink["handleIcmp"];

  constructor(inner: DatagramSink, remember: (socket: SocketId, address: Readonly<Address>) => void) {
    this.#inner = inner;
    this.#remember = remember;
    this.handleIcmp = inner.handleIcmp?.bind(inner);
  }

  handleBound(socket: SocketId, address: Readonly<Address>): void {
    this.#remember(socket, address);
    this.#inner.handleBound(socket, address);
  }

  handleBindFailed(...how: Parameters<DatagramSink["handleBindFailed"]>): void {
    this.#inner.handleBindFailed(...how);
  }

  handleDatagram(data: Uint8Array, length: number, from: Readonly<Address>, fill?: number, fields?: IpFields): void {
    this.#inner.handleDatagram(data, length, from, fill, fields);
  }
}

export class EbpfDatapath implements Datapath {
  readonly offloaded: OffloadStats = createOffloadStats();
  readonly #inner: Datapath;
  readonly #forwarding: KernelForwarding;
  readonly #addresses: (Readonly<Address> | undefined)[] = [];
  readonly #remember = (socket: SocketId, bound: Readonly<Address>): void => {
    this.#addresses[socket] = bound;
  };
  #isClosed = false;

  /**
   * `interfaces`: those between which the kernel may forward; none: those that routes name. `inner` and `source` are this datapath's from now on. Throws what the source does where it has none and never will:
   * `SystemError` `EPERM` without the privilege.
   */
  constructor(inner: Datapath, source: ProgramSource, reports: OffloadReports, interfaces: readonly string[] = []) {
    this.#inner = inner;
    this.#forwarding = new KernelForwarding(source, this.offloaded, reports, interfaces);
  }

  get carriesFields(): boolean {
    return this.#inner.carriesFields;
  }

  get stats(): Readonly<DatapathStats> {
    return this.#inner.stats;
  }

  bind(address: Readonly<Address>, purpose: SocketPurpose, sink: DatagramSink): SocketId {
    return this.#inner.bind(address, purpose, new BoundSink(sink, this.#remember));
  }

  adopt(
    descriptor: number,
    address: Readonly<Address>,
    purpose: SocketPurpose,
    sink: DatagramSink,
  ): SocketId | undefined {
    return this.#inner.adopt?.(descriptor, address, purpose, new BoundSink(sink, this.#remember));
  }

  detach(socket: SocketId): number | undefined {
    const descriptor = this.#inner.detach?.(socket);
    if (descriptor !== undefined) this.#addresses[socket] = undefined;
    return descriptor;
  }

  release(socket: SocketId): void {
    this.#addresses[socket] = undefined;
    this.#inner.release(socket);
  }

  send(...what: Parameters<Datapath["send"]>): boolean {
    return this.#inner.send(...what);
  }

  sendChannelData(...what: Parameters<Datapath["sendChannelData"]>): boolean {
    return this.#inner.sendChannelData(...what);
  }

  offload(flow: Flow, client: SocketId, other: SocketId): void {
    const [listener, farther] = [this.#addresses[client], this.#addresses[other]];
    if (listener === undefined || farther === undefined) return;
    const near = { local: listener, remote: flow.client.remote, channel: flow.channel };
    const { remote, channel } = flow.sender === undefined ? { remote: flow.peer, channel: 0 } : at(flow.sender);
    const far = { local: farther, remote, channel };
    const ends = flow.toward === "peer" ? { arrival: near, departure: far } : { arrival: far, departure: near };
    if (!this.#isClosed) this.#forwarding.add(flow, ends);
  }

  offloadMedia(flow: MediaFlow, arrival: SocketId, departure: SocketId): void {
    const [here, there] = [this.#addresses[arrival], this.#addresses[departure]];
    if (here === undefined || there === undefined) return;
    const ends = {
      arrival: { local: here, remote: flow.arrival.remote, channel: 0 },
      departure: { local: there, remote: flow.departure.remote, channel: 0 },
    };
    if (!this.#isClosed) this.#forwarding.add(flow, ends);
  }

  withdraw(flow: Flow | MediaFlow): void {
    if (!this.#isClosed) this.#forwarding.remove(flow);
  }

  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#forwarding.close();
    }
    await this.#inner.close();
  }
}
