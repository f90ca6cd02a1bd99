/**
 * The allocations of a connection: one on each TURN server for each component. An allocation with an address of each family
 * is two bases to the agent, and what replaces one that was lost is another base.
 */
import type { Address } from "../../core/base/address.ts";
import type { BaseId } from "../../core/ice/base.ts";
import type { RelayBase } from "../../core/ice/gathering.ts";
import type { TurnClientEvent } from "../../core/turn/client/outputs.ts";
import type { TurnAllocationOptions } from "../turn-client/options.ts";
import { TurnAllocation } from "../turn-client/turn-allocation.ts";
import type { Lane, LaneHost } from "./lane.ts";
import type { TurnServerLogin } from "./servers.ts";

export interface RelayHost extends LaneHost {
  handleRelayed(relay: RelayBase): void;
  handleRelayFailed(base: BaseId, why: string): void;
  handleRelayLost(base: BaseId): void;
}

export type RelayOptions = Pick<TurnAllocationOptions, "tls" | "proxy" | "localAddress">;

/** One allocation, and the bases that it is now. */
class Relay {
  readonly component: number;
  readonly login: TurnServerLogin;
  readonly bases: Map<BaseId, Address["family"]> = new Map();
  allocation: TurnAllocation | undefined;

  constructor(component: number, login: TurnServerLogin) {
    this.component = component;
    this.login = login;
  }
}

export class RelayLanes {
  readonly #host: RelayHost;
  readonly #closing = new AbortController();
  readonly #lanes: Map<BaseId, Lane> = new Map();
  readonly #relays: Set<Relay> = new Set();
  readonly #opening: Set<Promise<void>> = new Set();

  constructor(host: RelayHost) {
    this.#host = host;
  }

  lane(base: BaseId): Lane | undefined {
    return this.#lanes.get(base);
  }

  /** Asks for an allocation, which the agent knows by `base` already. */
  open(base: BaseId, component: number, login: TurnServerLogin, options: RelayOptions): void {
    const opening = this.#open(base, new Relay(component, login), options).finally(() => this.#opening.delete(opening));
    this.#opening.add(opening);
  }

  async #open(base: BaseId, relay: Relay, options: RelayOptions): Promise<void> {
    const { url, username, credential } = relay.login;
    try {
      const allocation = await TurnAllocation.open({
        ...{ ...options, url, username, credential, families: "both", signal: this.#closing.signal },
        onData: (data, peer) => this.#receive(relay, peer, data),
      });
      allocation.onEvent = (event) => this.#follow(relay, event);
      relay.allocation = allocation;
      this.#relays.add(relay);
      this.#announce(relay, base);
    } catch (error) {
      this.#host.handleRelayFailed(base, (error as Error).message);
    }
  }

  #announce(relay: Relay, first: BaseId): void {
    const allocation = relay.allocation as TurnAllocation;
    const { component } = relay;
    for (const [i, address] of allocation.relayed.entries()) {
      const base = i === 0 ? first : this.#host.nextBase();
      relay.bases.set(base, address.family);
      this.#lanes.set(base, laneOf(allocation));
      const { mapped, transport } = allocation;
      this.#host.handleRelayed({ base, stream: 0, component, address, transport, mapped });
    }
  }

  #follow(relay: Relay, event: TurnClientEvent): void {
    if (this.#closing.signal.aborted) return;
    if (event.type !== "allocated" && event.type !== "ended") return;
    const former = [...relay.bases.keys()];
    relay.bases.clear();
    // First, because an agent that has no address left gives up. Until then the lost one is merely silent.
    if (event.type === "allocated") this.#announce(relay, this.#host.nextBase());
    else this.#relays.delete(relay);
    for (const base of former) {
      this.#lanes.delete(base);
      this.#host.handleRelayLost(base);
    }
  }

  #receive({ bases, component }: Relay, peer: Readonly<Address>, data: Uint8Array): void {
    for (const [base, family] of bases) {
      if (family === peer.family) this.#host.handleDatagram(base, component, peer, data);
    }
  }

  /** Ends the allocations on their servers. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#opening);
    await Promise.all([...this.#relays].map(({ allocation }) => allocation?.close()));
    this.#lanes.clear();
  }
}

function laneOf(allocation: TurnAllocation): Lane {
  return {
    send: (to, data) => allocation.send(to, data),
    permit: (peer) => allocation.permit(peer),
    // A channel makes each packet smaller; without one, what is sent is sent all the same.
    prefer: (peer) => void allocation.bind(peer).catch(() => {}),
  };
}
