/**
 * The trunks as they are now: which addresses their names stand for, and which of these have failed lately. A trunk stays
 * the same object for as long as the edge lives, so that who is a side of a call is known whatever the DNS says meanwhile.
 */
import { type Address, formatAddress, formatIp, sameAddress, sameIp } from "../base/address.ts";
import { after, type Instant } from "../base/machine.ts";
import { type Prefix, parsePrefix } from "../base/prefix.ts";
import type { ServerEndpoint } from "../base/resolution.ts";
import type { SipFlow, SipTarget } from "../sip/flow.ts";
import type { Hop } from "../sip/proxy/hop.ts";
import { usualSipPort } from "../sip/resolve/resolve-sip.ts";
import type { Trunk } from "./config.ts";
import type { OwnNames } from "./names.ts";

/** RFC 3263 §4.3: servers of one name that a call tries, so that it is over before its caller has given up. */
const MAX_TRIED = 4;
/** How long a server that has failed is tried after the others. */
const AVOIDED = { usual: 60_000, most: 600_000 } as const;
/** How long nothing is sent over TCP to one that has refused it. */
const WITHOUT_STREAM = 600_000;

interface Place {
  readonly trunk: Trunk & { readonly sources: Prefix[]; readonly media: Prefix[] };
  readonly configured: Trunk;
  targets: readonly SipTarget[];
}

export class Trunks {
  readonly #names: OwnNames;
  readonly #places: readonly Place[];
  readonly #avoided: Map<string, Instant> = new Map();
  readonly #withoutStream: Map<string, Instant> = new Map();
  /** The connections that trunks' requests came by, and from where. */
  readonly #connections: Map<number, Readonly<Address>> = new Map();

  constructor(configured: readonly Trunk[], names: OwnNames) {
    this.#names = names;
    this.#places = configured.map((one) => {
      const { target } = one;
      const targets = target === undefined || "uri" in target ? [] : [target];
      return { configured: one, trunk: { ...one, sources: [...one.sources], media: [...one.media] }, targets };
    });
  }

  /** What their names stand for is in their `sources` and `media`, from the moment on that it is known. */
  get all(): readonly Trunk[] {
    return this.#places.map(({ trunk }) => trunk);
  }

  /** What a name stands for now, in the order in which it is to be tried. */
  handleResolved(name: string, endpoints: readonly ServerEndpoint[]): void {
    const place = this.#places.find(({ configured }) => configured.name === name);
    const named = place?.configured.target;
    if (place === undefined || named === undefined || !("uri" in named)) return;
    place.targets = endpoints.map(({ transport, address }) => {
      return { transport, address, ...(transport === "tls" && { serverName: named.serverName }) };
    });
    const ranges = [...new Set(endpoints.map(({ address }) => formatIp(address)))].map(
      (ip) => parsePrefix(ip) as Prefix,
    );
    replace(place.trunk.sources, [...place.configured.sources, ...ranges]);
    replace(place.trunk.media, [...place.configured.media, ...(named.isMediaThere ? ranges : [])]);
  }

  /** The servers of a trunk, with the address of ours that each is reached from; those last that have failed lately. */
  targetsOf(trunk: Trunk, now: Instant): readonly SipTarget[] {
    const reachable = this.#of(trunk).flatMap((target) => {
      const listener = this.#names.listenerFor(target);
      return listener === undefined ? [] : [{ ...target, local: listener.local }];
    });
    const isAvoided = (target: SipTarget) => isUntil(this.#avoided, keyOf(target), now);
    return [...reachable.filter((one) => !isAvoided(one)), ...reachable.filter(isAvoided)].slice(0, MAX_TRIED);
  }

  /** It did not answer, or could not be reached, or has said 503, and perhaps for how many seconds (RFC 3261 §21.5.4). */
  avoid(target: SipTarget, retryAfter: number | undefined, now: Instant): void {
    const ms = retryAfter === undefined ? AVOIDED.usual : Math.min(retryAfter * 1000, AVOIDED.most);
    note(this.#avoided, keyOf(target), ms, now);
  }

  /** Where a request to a server on UDP goes that is too large for that; undefined where there is no other way. */
  overStream(to: SipFlow | SipTarget, now: Instant): Hop["overStream"] {
    const address = "remote" in to ? to.remote : to.address;
    const target = { transport: "tcp", address, ...(to.local && { local: to.local }) } as const;
    if (to.transport !== "udp" || isUntil(this.#withoutStream, keyOf(target), now)) return undefined;
    return { to: target, sentBy: this.#names.nameForTrunk(target) };
  }

  noteStreamRefused(target: SipTarget, now: Instant): void {
    note(this.#withoutStream, keyOf(target), WITHOUT_STREAM, now);
  }

  /** Whether calls to it go there. */
  isAt(trunk: Trunk, { remote }: SipFlow): boolean {
    return this.#of(trunk).some(({ address }) => sameIp(address, remote));
  }

  /** A trunk's request came by this. True for the first of its connection. */
  noteFlow({ connection, remote }: SipFlow): boolean {
    if (connection === 0 || this.#connections.has(connection)) return false;
    this.#connections.set(connection, remote);
    return true;
  }

  handleConnectionClosed(connection: number): void {
    this.#connections.delete(connection);
  }

  /**
   * Where a request within a dialog goes whose other side, a trunk, was there: by the connection that this came by, while
   * it is open; else by one that is opened for it, to where the trunk is known to listen.
   */
  wayTo(trunk: Trunk, flow: SipFlow): SipFlow | SipTarget {
    const { transport, remote, connection, local } = flow;
    const from = this.#connections.get(connection);
    if (transport === "udp" || (from !== undefined && sameAddress(from, remote))) return flow;
    const known = this.#of(trunk).filter((target) => target.transport === transport);
    const isThere = known.find(({ address }) => sameAddress(address, remote));
    const target = isThere ?? known.find(({ address }) => sameIp(address, remote));
    if (target !== undefined) return { ...target, local };
    // The port of a connection that was opened from there is nobody's to connect to.
    const address = connection === 0 ? remote : { ...remote, port: usualSipPort(transport) };
    return { transport, address, local, ...serverNameOf(trunk) };
  }

  #of(trunk: Trunk): readonly SipTarget[] {
    return this.#places.find((place) => place.trunk === trunk)?.targets ?? [];
  }
}

function serverNameOf({ target }: Trunk): Pick<SipTarget, "serverName"> {
  const serverName = target?.serverName;
  return serverName === undefined ? {} : { serverName };
}

function keyOf({ transport, address }: SipTarget): string {
  return `${transport} ${formatAddress(address)}`;
}

function isUntil(until: Map<string, Instant>, key: string, now: Instant): boolean {
  const end = until.get(key);
  if (end === undefined || now < end) return end !== undefined;
  until.delete(key);
  return false;
}

/** Those that are over go, so that what the DNS has said once does not stay for ever. */
function note(until: Map<string, Instant>, key: string, ms: number, now: Instant): void {
  for (const known of until.keys()) isUntil(until, known, now);
  until.set(key, after(now, ms));
}

function replace<T>(array: T[], items: readonly T[]): void {
  array.splice(0, array.length, ...items);
}
