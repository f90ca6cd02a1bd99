/** The relay's sockets by their numbers, which are small and reused after release. */
import type { Address } from "../base/address.ts";
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
    return port;
  }

  remove(port: LocalPort): void {
    this.#ports[port.id] = undefined;
    this.#free.push(port.id);
  }
}
