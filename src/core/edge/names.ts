/** Our own names: what stands in Via and Record-Route, and which URIs mean us. */
import { type Address, formatAddress, formatIp, sameAddress, sameIp } from "../base/address.ts";
import { areNeighbours, nearest } from "../base/nearest.ts";
import type { SipFlow, SipTarget } from "../sip/flow.ts";
import type { SipUri } from "../sip/message/uri.ts";
import { isSameHost } from "../sip/message/uri-comparison.ts";
import type { EdgeConfig, EdgeListener } from "./config.ts";

export class OwnNames {
  readonly #domain: string;
  #listeners: readonly EdgeListener[] = [];
  /** Of listeners that have another name outside. */
  readonly #insideNames: Map<EdgeListener, string> = new Map();
  #hosts: ReadonlySet<string> = new Set();

  constructor({ domain, listeners }: Pick<EdgeConfig, "domain" | "listeners">) {
    this.#domain = domain;
    this.listeners = listeners;
  }

  set listeners(listeners: readonly EdgeListener[]) {
    this.#listeners = listeners;
    this.#insideNames.clear();
    for (const listener of listeners) {
      const inside = formatAddress(listener.local);
      if (inside !== listener.name) this.#insideNames.set(listener, inside);
    }
    const hosts = listeners.flatMap(({ name, local }) => [hostOf(name), textOf(local)]);
    this.#hosts = new Set([this.#domain, ...hosts.map((host) => host.toLowerCase())]);
  }

  /**
   * The socket that a message to there leaves by, or where its answers may come when it leaves by a connection that we
   * have opened: that one's transport is another where nothing listens on the same. Undefined: nothing of ours is of its family.
   */
  listenerFor(to: SipFlow | SipTarget): EdgeListener | undefined {
    const { local } = to;
    const same = this.#listeners.filter(({ transport }) => transport === to.transport);
    const exact = local && same.find((listener) => sameAddress(listener.local, local));
    if (exact !== undefined) return exact;
    const there = "remote" in to ? to.remote : to.address;
    const sameHost = local && same.find((listener) => sameIp(listener.local, local));
    return sameHost ?? nearest(same, localOf, there) ?? this.#ofAnyTransport(to, there);
  }

  /** For Via and Record-Route. To a phone always the one outside, where it may be before its call is over. */
  nameFor(to: SipFlow | SipTarget): string {
    return this.listenerFor(to)?.name ?? this.#domain;
  }

  /** For a trunk, which stays where it is: our name outside, unless it is inside with us. */
  nameForTrunk(to: SipFlow | SipTarget): string {
    const listener = this.listenerFor(to);
    if (listener === undefined) return this.#domain;
    const inside = this.#insideNames.get(listener);
    const isInside = inside !== undefined && areNeighbours(listener.local, "remote" in to ? to.remote : to.address);
    return isInside ? inside : listener.name;
  }

  #ofAnyTransport({ transport }: SipFlow | SipTarget, there: Readonly<Address>): EdgeListener | undefined {
    return transport === "udp" ? undefined : nearest(this.#listeners, localOf, there);
  }

  /** Whether a URI's host is us: our domain, or one of our addresses. */
  isOwn({ host }: SipUri): boolean {
    return this.#hosts.has(host.toLowerCase()) || [...this.#hosts].some((own) => isSameHost(own, host));
  }
}

function localOf({ local }: EdgeListener): Readonly<Address> {
  return local;
}

function hostOf(name: string): string {
  const colon = name.lastIndexOf(":");
  return colon > name.lastIndexOf("]") ? name.slice(0, colon) : name;
}

function textOf(a: Readonly<Address>): string {
  return a.family === 6 ? `[${formatIp(a)}]` : formatIp(a);
}
