/** The listening sockets: one for each address and transport, following the host's addresses. */
import { type Address, formatAddress } from "../core/base/address.ts";
import { PosternError } from "../core/base/failure.ts";
import type { TlsIdentity } from "../node/net/tls-identity.ts";
import type { BoundListener, TurnService } from "../node/turn-service.ts";
import type { AddressPlan } from "./address-plan.ts";
import type { Config } from "./config/config.ts";
import { discoverySquares } from "./discovery-squares.ts";
import { withOption } from "./listen-option.ts";
import type { DaemonLog } from "./log.ts";
import type { PlaceFollower } from "./places.ts";

type Transport = BoundListener["transport"];

interface Wanted {
  readonly transport: Transport;
  readonly address: Readonly<Address>;
}

export class Listeners implements PlaceFollower {
  readonly #host: TurnService;
  readonly #ports: Readonly<Record<Transport, number | undefined>>;
  readonly #alternatePort: number;
  readonly #log: DaemonLog;
  readonly #open: Map<string, BoundListener> = new Map();
  /** An address that was read from the host a moment ago may be gone, or not be usable yet. */
  readonly #mayBeGone: boolean;
  #identity: TlsIdentity | undefined;

  constructor(host: TurnService, config: Config, log: DaemonLog) {
    this.#host = host;
    this.#ports = { udp: config.udpPort, tcp: config.tcpPort, tls: config.tlsPort };
    this.#alternatePort = config.alternatePort;
    this.#mayBeGone = config.listen.length === 0;
    this.#log = log;
  }

  /** TLS listeners are opened from now on. */
  setIdentity(identity: TlsIdentity): void {
    this.#identity = identity;
  }

  /**
   * Opens what is missing and closes what is not wanted any more. Rejects with the `PosternError` of `TurnService.listen`
   * when something cannot be opened, after everything else has been.
   */
  async follow(plan: AddressPlan): Promise<void> {
    const wanted = this.#wanted(plan);
    for (const [key, listener] of this.#open) {
      if (wanted.has(key)) continue;
      this.#open.delete(key);
      this.#host.unlisten(listener);
      this.#log.debug({ listener: key }, "listener-closed");
    }
    const missing = [...wanted].filter(([key]) => !this.#open.has(key));
    const results = await Promise.allSettled(missing.map(([key, spec]) => this.#listen(key, spec)));
    const squares = discoverySquares(plan.discovery, [...this.#open.values()], this.#ports, this.#alternatePort);
    this.#host.setDiscoverySquares(squares);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  #wanted({ listen, discovery }: AddressPlan): Map<string, Wanted> {
    const wanted = new Map<string, Wanted>();
    const want = (transport: Transport, one: Readonly<Address>, port: number) => {
      const address = { ...one, port };
      wanted.set(`${transport} ${formatAddress(address)}`, { transport, address });
    };
    for (const transport of ["udp", "tcp", "tls"] as const) {
      const port = this.#ports[transport];
      if (port === undefined || (transport === "tls" && this.#identity === undefined)) continue;
      for (const one of listen) want(transport, one, port);
      if (transport === "tls") continue;
      for (const { bound } of discovery.flat()) want(transport, bound, this.#alternatePort);
    }
    return wanted;
  }

  async #listen(key: string, { transport, address }: Wanted): Promise<void> {
    const identity = transport === "tls" && this.#identity !== undefined ? { tls: this.#identity } : {};
    try {
      this.#open.set(key, await this.#host.listen({ transport, address, ...identity }));
      this.#log.debug({ listener: key }, "listener-opened");
    } catch (error) {
      const gone = error instanceof PosternError && error.code === "address-gone";
      if (!gone || !this.#mayBeGone) throw withOption(error, this.#optionOf(transport, address.port));
      this.#log.debug({ listener: key }, "listener-address-gone");
    }
  }

  #optionOf(transport: Transport, port: number): string {
    return port === this.#ports[transport] ? `${transport}-port` : "alternate-port";
  }

  /** Whether every address of the plan has all its listeners. */
  isComplete(plan: AddressPlan): boolean {
    return [...this.#wanted(plan).keys()].every((key) => this.#open.has(key));
  }
}
