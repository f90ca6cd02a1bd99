/**
 * The oracle for NATs in rows: whether two hosts, each behind several NATs, find a direct path. Like the rest of the
 * oracle it knows declarations alone. It reasons over what has been sent to whom, until nothing new follows: endpoints are
 * names, and there are no packets, no ports and no time.
 */
import type { Dependence, NatBehavior } from "./behavior.ts";
import { observedMapping } from "./oracle.ts";

type Side = Pick<NatBehavior, "mapping" | "filtering" | "ports">;

/** An endpoint as others see it: whose it is, and by which of that side's mappings it came to be. */
interface Endpoint {
  readonly owner: string;
  readonly mapping: string;
}

/** Of the server that told both of their outside addresses. */
const SERVER: Endpoint = { owner: "server", mapping: "" };

/** Where the names of endpoints have got so long, only newer ones follow, and no two ever meet. */
const MAX_ROUNDS = 6;

/** As much of a remote endpoint as counts. */
function seen({ owner, mapping }: Endpoint, dependence: Dependence): string {
  if (dependence === "endpoint-independent") return "";
  return dependence === "address-dependent" ? owner : `${owner}[${mapping}]`;
}

class Host {
  readonly #name: string;
  readonly #nats: readonly Side[];
  readonly sentTo: Map<string, Endpoint> = new Map();

  constructor(name: string, nats: readonly Side[]) {
    this.#name = name;
    this.#nats = nats;
  }

  /** How what it sends to `remote` looks behind the first `count` NATs: each tells apart what it or one before does. */
  #mapping(remote: Endpoint, count: number): string {
    return this.#nats
      .slice(0, count)
      .map((nat) => seen(remote, observedMapping(nat)))
      .join("|");
  }

  /** The source that `remote` sees. */
  source(remote: Endpoint): Endpoint {
    return { owner: this.#name, mapping: this.#mapping(remote, this.#nats.length) };
  }

  sends(remote: Endpoint): boolean {
    const name = seen(remote, "address-and-port-dependent");
    if (this.sentTo.has(name)) return false;
    this.sentTo.set(name, remote);
    return true;
  }

  /** Whether every NAT has seen something leave, by the same mapping, to whom it takes for `source`. */
  admits(source: Endpoint, to: Endpoint): boolean {
    const sent = [...this.sentTo.values()];
    const through = sent.find((remote) => this.#mapping(remote, this.#nats.length) === to.mapping);
    if (through === undefined) return false;
    return this.#nats.every(({ filtering }, at) =>
      sent.some(
        (remote) =>
          this.#mapping(remote, at + 1) === this.#mapping(through, at + 1) &&
          seen(remote, filtering) === seen(source, filtering),
      ),
    );
  }
}

/**
 * Whether two hosts find a pair of addresses that carries packets both ways, when each knows the outside address that a
 * server saw of the other, both send, and both answer the source of whatever arrives. NATs from the host outward.
 */
export function canMeet(a: readonly Side[], b: readonly Side[]): boolean {
  const [one, other] = [new Host("a", a), new Host("b", b)];
  for (const host of [one, other]) host.sends(SERVER);
  one.sends(other.source(SERVER));
  other.sends(one.source(SERVER));
  for (let round = 0; round < MAX_ROUNDS; round++) {
    if (meets(one, other) || meets(other, one)) return true;
    const isNew = [learns(one, other), learns(other, one)];
    if (!isNew.includes(true)) return false;
  }
  return false;
}

/** What the sender sends and the receiver hears. */
function* heard(sender: Host, receiver: Host): Generator<{ readonly from: Endpoint; readonly to: Endpoint }> {
  for (const to of [...sender.sentTo.values()]) {
    if (to.owner === SERVER.owner) continue;
    const from = sender.source(to);
    if (receiver.admits(from, to)) yield { from, to };
  }
}

/** An answer comes from exactly the endpoint that was asked. */
function meets(sender: Host, receiver: Host): boolean {
  for (const { from, to } of heard(sender, receiver)) if (receiver.source(from).mapping === to.mapping) return true;
  return false;
}

/** Whether the receiver hears from somebody new, whom it then sends to. */
function learns(sender: Host, receiver: Host): boolean {
  let isNew = false;
  for (const { from } of heard(sender, receiver)) isNew = receiver.sends(from) || isNew;
  return isNew;
}
