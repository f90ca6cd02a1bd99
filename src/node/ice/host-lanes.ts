/** The sockets of a connection: one for each address of the host and each component. */
import type { Address } from "../../core/base/address.ts";
import { sameIp } from "../../core/base/address.ts";
import type { BaseId } from "../../core/ice/base.ts";
import type { HostBase } from "../../core/ice/gathering.ts";
import type { SocketId } from "../datapath/datapath.ts";
import { DgramDatapath } from "../datapath/dgram.ts";
import type { Lane, LaneHost } from "./lane.ts";

interface HostLane extends Lane {
  readonly base: BaseId;
  readonly component: number;
  readonly socket: SocketId;
  readonly address: Readonly<Address>;
}

export class HostLanes {
  readonly #host: LaneHost;
  readonly #datapath = new DgramDatapath();
  readonly #lanes: Map<BaseId, HostLane> = new Map();
  #isClosed = false;

  constructor(host: LaneHost) {
    this.#host = host;
  }

  lane(base: BaseId): Lane | undefined {
    return this.#lanes.get(base);
  }

  /** Opens a socket; undefined where the address is not usable any more, or no descriptor is left. */
  open(address: Readonly<Address>, component: number): Promise<HostBase | undefined> {
    if (this.#isClosed) return Promise.resolve(undefined);
    const { promise, resolve } = Promise.withResolvers<HostBase | undefined>();
    const base = this.#host.nextBase();
    this.#datapath.bind({ ...address, port: 0 }, "relay", {
      handleBound: (socket, bound) => {
        this.#lanes.set(base, this.#laneOf(base, component, socket, bound));
        resolve({ base, stream: 0, component, address: bound });
      },
      handleBindFailed: () => resolve(undefined),
      handleDatagram: (data, length, from) =>
        this.#host.handleDatagram(base, component, from, length === data.length ? data : data.subarray(0, length)),
    });
    return promise;
  }

  #laneOf(base: BaseId, component: number, socket: SocketId, address: Readonly<Address>): HostLane {
    const datapath = this.#datapath;
    return {
      base,
      component,
      socket,
      address,
      send: (to, data) => datapath.send(socket, data, 0, data.length, to),
      permit: () => Promise.resolve(),
      prefer: () => {},
    };
  }

  /** Opens another on the address of `like`. */
  openLike(like: BaseId): Promise<HostBase | undefined> {
    const lane = this.#lanes.get(like);
    return lane === undefined ? Promise.resolve(undefined) : this.open(lane.address, lane.component);
  }

  /** Closes one socket. */
  close(base: BaseId): void {
    const lane = this.#lanes.get(base);
    if (lane === undefined) return;
    this.#lanes.delete(base);
    this.#datapath.release(lane.socket);
  }

  /** The address is gone: closes its sockets, and says which bases they were. */
  release(address: Readonly<Address>): BaseId[] {
    const gone = [...this.#lanes.values()].filter((lane) => sameIp(lane.address, address));
    for (const { base } of gone) this.close(base);
    return gone.map(({ base }) => base);
  }

  closeAll(): Promise<void> {
    this.#isClosed = true;
    this.#lanes.clear();
    return this.#datapath.close();
  }
}
