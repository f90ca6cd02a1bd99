/** The relay's sockets by their numbers, which are small and reused after release. */
import { type Address, sameAddress } from "../base/address.ts";
import type { RelayPlace } from "../base/relay-places.ts";
import type { Component } from "./component.ts";
import type { PortId } from "./outputs.ts";

export interface LocalPort {
  readonly id: PortId;
  readonly place: RelayPlace;
  readonly bound: Readonly<Address>;
  readonly advertised: Readonly<Address>;
  readonly component: Component;
  /** `abandoned`: it is not wanted any more, and the driver has not yet said whether it opened. */
  state: "binding" | "bound" | "abandoned";
}

export class LocalPorts {
  readonly #ports: (LocalPort | undefined)[] = [];
  readonly #free: number[] = [];
  /** By their numbers on the network; several addresses may use the same one. */
  readonly #byNumber: Map<number, LocalPort[]> = new Map();

  get size(): number {
    return this.#ports.length - this.#free.length;
  }

  find(id: PortId): LocalPort | undefined {
    return this.#ports[id];
  }

  add(make: (id: PortId) => LocalPort): LocalPort {
    const id = (this.#free.pop() ?? this.#ports.length) as PortId;
    const port = make(id);
    this.#ports[id] = port;
    const same = this.#byNumber.get(port.bound.port);
    if (same === undefined) this.#byNumber.set(port.bound.port, [port]);
    else same.push(port);
    return port;
  }

  remove(port: LocalPort): void {
    this.#ports[port.id] = undefined;
    this.#free.push(port.id);
    const rest = (this.#byNumber.get(port.bound.port) ?? []).filter((other) => other !== port);
    if (rest.length === 0) this.#byNumber.delete(port.bound.port);
    else this.#byNumber.set(port.bound.port, rest);
  }

  /** Ours at this transport address, as others are told of it. */
  findAt(address: Readonly<Address>): LocalPort | undefined {
    return this.#byNumber.get(address.port)?.find((port) => sameAddress(port.advertised, address));
  }
}
