/**
 * What a connection can send from, as the agent's bases: a socket for each address of the host and each component, and the
 * allocations. The host's addresses come and go, and so do the bases.
 */
import { type Address, formatIp, parseIp } from "../../core/base/address.ts";
import type { BaseId } from "../../core/ice/base.ts";
import type { HostBase } from "../../core/ice/gathering.ts";
import { type InterfaceChange, type InterfaceWatch, interfaceAddresses, watchInterfaces } from "../interfaces.ts";
import { usableAddresses } from "./host-addresses.ts";
import { HostLanes } from "./host-lanes.ts";
import type { IceDriver } from "./ice-driver.ts";
import type { Lane, LaneHost } from "./lane.ts";
import type { IceConnectionOptions, OnIceData } from "./options.ts";
import { RelayLanes } from "./relay-lanes.ts";
import type { TurnServerLogin } from "./servers.ts";

/** As long as nobody has looked, a call from an address that is gone is silent. */
const lookEveryMs = 1_000;

export class Bases {
  readonly #options: IceConnectionOptions;
  readonly #components: readonly number[];
  readonly #driver: IceDriver;
  readonly #hosts: HostLanes;
  readonly #relays: RelayLanes;
  #watch: InterfaceWatch | undefined;
  #last = 0;

  /** `deliver` hears the application's data. */
  constructor(options: IceConnectionOptions, components: readonly number[], driver: IceDriver, deliver: OnIceData) {
    this.#options = options;
    this.#components = components;
    this.#driver = driver;
    const host: LaneHost = {
      nextBase: () => this.#next(),
      handleDatagram: (base, component, from, data) => {
        if (driver.datagram(base, from, data)) deliver(data, component);
      },
    };
    this.#hosts = new HostLanes(host);
    this.#relays = new RelayLanes({
      ...host,
      handleRelayed: (relay) => driver.input((agent, now) => agent.handleRelayed(relay, now)),
      handleRelayFailed: (base, why) => driver.input((agent, now) => agent.handleRelayFailed(base, why, now)),
      handleRelayLost: (base) => driver.input((agent, now) => agent.handleAddressLost(base, now)),
    });
  }

  lane(base: BaseId): Lane | undefined {
    return this.#hosts.lane(base) ?? this.#relays.lane(base);
  }

  /** Opens sockets, lets the agent gather, and asks for allocations. */
  async open(turn: readonly TurnServerLogin[]): Promise<void> {
    // What is bound to an address that nobody may learn is of no use.
    const isRelayOnly = this.#options.policy === "relay";
    const hosts = isRelayOnly ? [] : await this.#openSockets(this.#addresses());
    const relays = this.#components.flatMap((component) =>
      turn.map((login) => ({ base: this.#next(), component, login })),
    );
    this.#driver.ask((agent, now) => {
      for (const { base, component } of relays) agent.handleRelayPending(base, 0, component);
      agent.gather(hosts, now);
    });
    for (const { base, component, login } of relays) this.#openRelay(base, component, login);
    if (!isRelayOnly) this.#watch = watchInterfaces((change) => void this.#follow(change), { everyMs: lookEveryMs });
  }

  /** Another socket on the address of `like`, for the agent. */
  async openLike(like: BaseId): Promise<void> {
    const host = await this.#hosts.openLike(like);
    this.#driver.input((agent, now) => {
      if (host === undefined) agent.handleSocketFailed(like, now);
      else agent.handleSocketOpened(like, host.base, host.address, now);
    });
  }

  /** Whether the host's addresses are still those that are known. */
  look(): void {
    this.#watch?.look();
  }

  closeSocket(base: BaseId): void {
    this.#hosts.close(base);
  }

  async close(): Promise<void> {
    this.#watch?.[Symbol.dispose]();
    await Promise.all([this.#hosts.closeAll(), this.#relays.close()]);
  }

  #next(): BaseId {
    return ++this.#last as BaseId;
  }

  #addresses(): readonly Readonly<Address>[] {
    return usableAddresses(interfaceAddresses(), this.#options.interfaces);
  }

  async #openSockets(addresses: readonly Readonly<Address>[]): Promise<HostBase[]> {
    const all = addresses.flatMap((address) =>
      this.#components.map((component) => this.#hosts.open(address, component)),
    );
    return (await Promise.all(all)).filter((host) => host !== undefined);
  }

  #openRelay(base: BaseId, component: number, login: TurnServerLogin): void {
    const { tls, proxy, interfaces } = this.#options;
    const options = { ...(tls && { tls }), ...(proxy !== undefined && { proxy }) };
    if (interfaces === undefined) return this.#relays.open(base, component, login, options);
    const family = parseIp(login.host)?.family;
    const local = this.#addresses().find((address) => family === undefined || address.family === family);
    if (local !== undefined) {
      return this.#relays.open(base, component, login, { ...options, localAddress: formatIp(local) });
    }
    const why = `No interface that may be used leads to ${login.url}.`;
    this.#driver.input((agent, now) => agent.handleRelayFailed(base, why, now));
  }

  async #follow({ added, removed }: InterfaceChange): Promise<void> {
    const { interfaces } = this.#options;
    // First, because an agent that has no address left gives up.
    for (const host of await this.#openSockets(usableAddresses(added, interfaces))) {
      this.#driver.input((agent, now) => agent.handleAddressAdded(host, now));
    }
    for (const address of usableAddresses(removed, interfaces)) {
      for (const base of this.#hosts.release(address)) {
        this.#driver.input((agent, now) => agent.handleAddressLost(base, now));
      }
    }
  }
}
