/** NAT behaviour discovery on real sockets, from one local address. */
import { createConnection, type Socket } from "node:net";
import { type Address, formatIp } from "../core/base/address.ts";
import type { LifetimeSearch } from "../core/stun/behavior/lifetime.ts";
import { NatDiscovery } from "../core/stun/behavior/nat-discovery.ts";
import type { NatDiscoveryOutput } from "../core/stun/behavior/output.ts";
import type { DiscoveryStage, ProbeSocketId } from "../core/stun/behavior/procedure.ts";
import { type BehaviorReport, unknown } from "../core/stun/behavior/report.ts";
import type { TransactionTiming } from "../core/stun/client-transaction.ts";
import { StreamFramer } from "../core/turn/stream-framing.ts";
import type { DatagramSink, SocketId } from "./datapath/datapath.ts";
import { DgramDatapath } from "./datapath/dgram.ts";
import { Driver } from "./driver.ts";
import { gatewayAddress } from "./gateway-address.ts";
import { PooledRandom } from "./random.ts";

export interface NatDiscoveryOptions {
  /** What every socket is bound to: one address, never a wildcard. Its port does not matter. */
  readonly local: Readonly<Address>;
  /** Of the local address's family. */
  readonly servers: readonly Readonly<Address>[];
  /** Test how TCP is mapped too. */
  readonly tcp?: boolean;
  /** Ask the default gateway, where it has a private address, for its external one (NAT-PMP). */
  readonly gateway?: boolean;
  /** Test how long bindings live, which takes minutes. */
  readonly lifetime?: LifetimeSearch;
  readonly timing?: TransactionTiming;
  readonly signal?: AbortSignal;
  readonly onStage?: (stage: DiscoveryStage) => void;
}

/** No longer message is of use here, and a server may send anything. */
const longestFrame = 4_096;

/** Rejects with `PosternError` `wildcard-address`, or with the signal's reason. */
export async function discoverNat(options: NatDiscoveryOptions): Promise<BehaviorReport> {
  options.signal?.throwIfAborted();
  const shell = new DiscoveryShell(options);
  try {
    return await shell.run();
  } finally {
    await shell.close();
  }
}

class DiscoveryShell {
  readonly #options: NatDiscoveryOptions;
  readonly #datapath = new DgramDatapath();
  readonly #driver: Driver<NatDiscovery, NatDiscoveryOutput>;
  readonly #datagrams: Map<ProbeSocketId, SocketId> = new Map();
  readonly #connections: Map<ProbeSocketId, Socket> = new Map();
  readonly #done = Promise.withResolvers<BehaviorReport>();
  readonly #closing = new AbortController();
  /** Runs until the gateway has answered, or is given up. */
  #gateway: Promise<void> | undefined;

  constructor(options: NatDiscoveryOptions) {
    this.#options = options;
    const { local, servers, tcp = false, gateway = false, lifetime, timing } = options;
    const machine = new NatDiscovery(
      { family: local.family, servers, tests: { tcp, gateway, lifetime }, ...(timing && { timing }) },
      new PooledRandom(),
    );
    this.#driver = new Driver(machine, {
      perform: (output) => this.#perform(output),
      handleFailure: (cause) => this.#done.reject(cause),
    });
  }

  async run(): Promise<BehaviorReport> {
    const { signal } = this.#options;
    const abort = (): void => this.#done.reject(signal?.reason);
    signal?.addEventListener("abort", abort);
    this.#driver.input((machine, now) => machine.start(now));
    try {
      return await this.#done.promise;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  async close(): Promise<void> {
    this.#driver.input((machine, now) => machine.close(now));
    this.#driver.stop();
    this.#closing.abort();
    await this.#gateway;
    await this.#datapath.close();
  }

  #perform(output: NatDiscoveryOutput): void {
    switch (output.kind) {
      case "open":
        return this.#open(output.socket);
      case "connect":
        return this.#connect(output.socket, output.to, output.localPort);
      case "send":
        return this.#send(output);
      case "ask-gateway":
        this.#gateway = this.#askGateway();
        return;
      case "close":
        return this.#close(output.socket);
      case "stage":
        return this.#options.onStage?.(output.stage);
      case "report":
        return this.#done.resolve(output.report);
    }
  }

  #open(probe: ProbeSocketId): void {
    const sink: DatagramSink = {
      handleBound: (_socket, local) => this.#driver.input((machine, now) => machine.handleOpened(probe, local, now)),
      handleBindFailed: () => this.#failed(probe),
      handleDatagram: (data, length, from) => this.#message(probe, data.subarray(0, length), from),
    };
    this.#datagrams.set(probe, this.#datapath.bind({ ...this.#options.local, port: 0 }, "relay", sink));
  }

  #connect(probe: ProbeSocketId, to: Readonly<Address>, localPort: number): void {
    const localAddress = formatIp(this.#options.local);
    const socket = createConnection({ host: formatIp(to), port: to.port, localAddress, localPort });
    const framer = new StreamFramer(longestFrame);
    this.#connections.set(probe, socket);
    socket.on("connect", () => {
      const local = { ...this.#options.local, port: socket.localPort ?? 0 };
      this.#driver.input((machine, now) => machine.handleOpened(probe, local, now));
    });
    socket.on("data", (chunk: Uint8Array) => {
      framer.push(chunk);
      for (let frame = framer.next(); frame !== undefined; frame = framer.next()) this.#message(probe, frame, to);
    });
    socket.on("error", () => this.#failed(probe));
  }

  #message(probe: ProbeSocketId, data: Uint8Array, from: Readonly<Address>): void {
    this.#driver.input((machine, now) => machine.handleMessage(probe, data, from, now));
  }

  #failed(probe: ProbeSocketId): void {
    this.#datagrams.delete(probe);
    this.#driver.input((machine, now) => machine.handleFailed(probe, now));
  }

  #send({ socket: probe, to, data, hopLimit }: Extract<NatDiscoveryOutput, { kind: "send" }>): void {
    const socket = this.#datagrams.get(probe);
    if (socket === undefined) this.#connections.get(probe)?.write(data);
    else if (hopLimit === undefined) this.#datapath.send(socket, data, 0, data.length, to);
    else this.#datapath.sendWithin(hopLimit, socket, data, to);
  }

  async #askGateway(): Promise<void> {
    const { local } = this.#options;
    const found = await gatewayAddress({ local, signal: this.#closing.signal }).catch(() => unknown("gateway-silent"));
    this.#driver.input((machine, now) => machine.handleGateway(found, now));
  }

  #close(probe: ProbeSocketId): void {
    const socket = this.#datagrams.get(probe);
    if (socket !== undefined) this.#datapath.release(socket);
    this.#datagrams.delete(probe);
    this.#connections.get(probe)?.destroy();
    this.#connections.delete(probe);
  }
}
