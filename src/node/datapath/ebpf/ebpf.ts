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
import { Routes } from "../../sys/routes.ts";
import type { DatagramSink, Datapath, DatapathStats, SocketId, SocketPurpose } from "../datapath.ts";
import { Counters } from "./counters.ts";
import { FlowTable } from "./flow-table.ts";
import { LoadedProgram } from "./loaded-program.ts";
import { createOffloadStats, type OffloadStats, outcomes } from "./offload-stats.ts";
import { RelayProgram } from "./relay-program.ts";

function at({ client: { remote }, channel }: Sender) {
  return { remote, channel };
}

const tickMs = 250;

/** Of the kernel's forwarding, in nanoseconds from the last tick; longer than a turn of the event loop ever takes. */
const leaseNs = 3_000_000_000n;

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
  readonly #program: RelayProgram;
  readonly #routes: Routes;
  readonly #table: FlowTable;
  readonly #outcomes: Counters;
  readonly #handleFailure: (error: unknown) => void;
  readonly #addresses: (Readonly<Address> | undefined)[] = [];
  readonly #timer: NodeJS.Timeout;
  #isClosed = false;

  /**
   * `inner` is this datapath's from now on. `handleFailure` hears when the kernel refuses a flow, which stays in user space
   * then. Throws `SystemError`: `EPERM` without the privilege.
   */
  constructor(inner: Datapath, handleFailure: (error: unknown) => void) {
    this.#inner = inner;
    this.#handleFailure = handleFailure;
    this.#program = new RelayProgram(new LoadedProgram());
    try {
      this.#routes = new Routes();
      this.#table = new FlowTable(this.#program, this.#routes, this.offloaded);
      this.#outcomes = new Counters(this.#program.maps.outcomes, this.#program.cpus);
      this.#renewLease();
    } catch (error) {
      this.#program.close();
      throw error;
    }
    this.#timer = setInterval(() => this.#try(() => this.#tick()), tickMs).unref();
  }

  get carriesFields(): boolean {
    return this.#inner.carriesFields;
  }

  get stats(): Readonly<DatapathStats> {
    return this.#inner.stats;
  }

  bind(address: Readonly<Address>, purpose: SocketPurpose, sink: DatagramSink): SocketId {
    const remember = (socket: SocketId, bound: Readonly<Address>): void => {
      this.#addresses[socket] = bound;
    };
    return this.#inner.bind(address, purpose, new BoundSink(sink, remember));
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
    this.#try(() => this.#table.add(flow, ends));
  }

  offloadMedia(flow: MediaFlow, arrival: SocketId, departure: SocketId): void {
    const [here, there] = [this.#addresses[arrival], this.#addresses[departure]];
    if (here === undefined || there === undefined) return;
    const ends = {
      arrival: { local: here, remote: flow.arrival.remote, channel: 0 },
      departure: { local: there, remote: flow.departure.remote, channel: 0 },
    };
    this.#try(() => this.#table.add(flow, ends));
  }

  withdraw(flow: Flow | MediaFlow): void {
    this.#try(() => this.#table.remove(flow));
  }

  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      clearInterval(this.#timer);
      this.#program.close();
      this.#routes.close();
    }
    await this.#inner.close();
  }

  #tick(): void {
    this.#renewLease();
    if (this.#routes.haveChanged()) this.#table.follow();
    this.#table.count();
    for (const [index, name] of outcomes.entries()) {
      this.offloaded.datagrams[name] = this.#outcomes.read(index, 0)[0] as number;
    }
  }

  #renewLease(): void {
    const { lease } = this.#program.maps;
    const until = process.hrtime.bigint() + leaseNs;
    lease.value.u32[0] = Number(until & 0xffffffffn);
    lease.value.u32[1] = Number(until >> 32n);
    lease.put();
  }

  #try(work: () => void): void {
    if (this.#isClosed) return;
    try {
      work();
    } catch (error) {
      this.offloaded.failures++;
      this.#handleFailure(error);
    }
  }
}
