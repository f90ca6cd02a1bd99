/** Our own names: what stands in Via and Record-Route, and which URIs mean us. */
import { type Address, formatIp, sameAddress } from "../base/address.ts";
import type { SipFlow, SipTarget } from "../sip/flow.ts";
import type { SipUri } from "../sip/message/uri.ts";
import { isSameHost } from "../sip/message/uri-comparison.ts";
import type { EdgeConfig, EdgeListener } from "./config.ts";

export class OwnNames {
  readonly #domain: string;
  #listeners: readonly EdgeListener[] = [];
  #hosts: ReadonlySet<string> = new Set();

  constructor({ domain, listeners }: Pick<EdgeConfig, "domain" | "listeners">) {
    this.#domain = domain;
    this.listeners = listeners;
  }

  set listeners(listeners: readonly EdgeListener[]) {
    this.#listeners = listeners;
    const hosts = listeners.flatMap(({ name, local }) => [hostOf(name), textOf(local)]);
    this.#hosts = new Set([this.#domain, ...hosts.map((host) => host.toLowerCase())]);
  }

  /** The socket that a message to there leaves by; undefined where there is none of that kind. */
  listenerFor(to: SipFlow | SipTarget): EdgeListener | undefined {
    const listeners = this.#listeners;
    if ("local" in to) {
      return listeners.find(({ transport, local }) => transport === to.transport && sameAddress(local, to.local));
    }
    return listeners.find(({ transport, local }) => transport === to.transport && local.family === to.address.family);
  }

  /** For Via and Record-Route. */
  nameFor(to: SipFlow | SipTarget): string {
    return this.listenerFor(to)?.name ?? this.#domain;
  }

  /** Whether a URI's host is us: our domain, or one of our addresses. */
  isOwn({ host }: SipUri): boolean {
    return this.#hosts.has(host.toLowerCase()) || [...this.#hosts].some((own) => isSameHost(own, host));
  }
}

function hostOf(name: string): string {
  const colon = name.lastIndexOf(":");
  return colon > name.lastIndexOf("]") ? name.slice(0, colon) : name;
}

function textOf(a: Readonly<Address>): string {
  return a.family === 6 ? `[${formatIp(a)}]` : formatIp(a);
}
