/**
 * What a gateway made of the packets that came to it: which of the flows that left it are which of those that arrived.
 * A gateway does not tell. Of two addresses it leaves one alone, outward the destination and inward the source; among
 * flows that share that one, what else they have in common tells: the other's port, the count, the count of the answers.
 */
import type { Passage } from "../passages.ts";
import type { PlannedGateway } from "../topology.ts";
import { ipOf, portOf, type Routes } from "./routes.ts";

export interface Translation {
  readonly arrived: Passage;
  readonly left: Passage;
  /** How many of the packets that left came from those that arrived. */
  readonly packets: number;
}

/** What a flow has on both sides of a gateway, most of the time. */
type Trait = (passage: Passage) => string | number;

export function matchTranslations(
  gateway: PlannedGateway,
  passages: readonly Passage[],
  routes: Routes,
): Translation[] {
  const arrivals = passages.filter(({ direction }) => direction === "arrived");
  const departures = passages.filter(({ direction }) => direction === "left");
  const matching = new Matching(arrivals, departures, passages);
  const { outside } = gateway;
  const isInside = (endpoint: string) => routes.isInside(gateway, ipOf(endpoint));
  const isInward = ({ destination, direction }: Passage) =>
    direction === "left" ? isInside(destination) : ipOf(destination) === outside;
  const isOutward = (passage: Passage) => !isInward(passage);
  matching.match([({ source, destination }) => `${source} ${destination}`], () => true);
  matching.matchByTraits(
    ({ destination }) => destination,
    isOutward,
    ({ source }) => portOf(source),
  );
  matching.matchByTraits(
    ({ source }) => source,
    isInward,
    ({ destination }) => portOf(destination),
  );
  // A packet that turns in the gateway may lose both addresses there.
  const turns = ({ direction, source }: Passage) =>
    direction === "left" ? ipOf(source) === outside : isInside(source);
  matching.match([({ source }) => portOf(source)], (passage) => isInward(passage) && turns(passage));
  return matching.found;
}

class Matching {
  readonly found: Translation[] = [];
  readonly #arrivals: readonly Passage[];
  readonly #departures: readonly Passage[];
  readonly #counts: ReadonlyMap<string, number>;
  /** Packets whose other side is not known yet. */
  readonly #open: Map<Passage, number>;

  constructor(arrivals: readonly Passage[], departures: readonly Passage[], all: readonly Passage[]) {
    this.#arrivals = arrivals;
    this.#departures = departures;
    this.#counts = new Map(
      all.map((one) => [`${one.direction} ${one.protocol} ${one.source} ${one.destination}`, one.packets]),
    );
    this.#open = new Map(all.map((one) => [one, one.packets]));
  }

  /** Of those that share `kept`, first those that have the most in common. */
  matchByTraits(kept: Trait, applies: (passage: Passage) => boolean, port: Trait): void {
    const [count, answers]: Trait[] = [({ packets }) => packets, (passage) => this.#answers(passage)] as const;
    for (const traits of [
      [port, count, answers],
      [port, count],
      [count, answers],
      [port, answers],
      [count],
      [port],
      [answers],
      [],
    ]) {
      this.match([kept, ...(traits as Trait[])], applies);
    }
  }

  /** Pairs what has all of these traits in common, in order. */
  match(traits: readonly Trait[], applies: (passage: Passage) => boolean): void {
    const isOpen = (one: Passage) => (this.#open.get(one) as number) > 0 && applies(one);
    const key = (one: Passage) => [one.protocol, ...traits.map((trait) => trait(one))].join(" ");
    const waiting = Map.groupBy(this.#arrivals.filter(isOpen), key);
    for (const left of this.#departures.filter(isOpen)) {
      const alike = waiting.get(key(left)) ?? [];
      while (alike[0] !== undefined && isOpen(left)) {
        this.#pair(alike[0], left);
        if (!isOpen(alike[0])) alike.shift();
      }
    }
  }

  #pair(arrived: Passage, left: Passage): void {
    const [came, went] = [this.#open.get(arrived) as number, this.#open.get(left) as number];
    const packets = Math.min(came, went);
    this.#open.set(arrived, came - packets);
    this.#open.set(left, went - packets);
    this.found.push({ arrived, left, packets });
  }

  /** How many packets passed the other way, on the other side of the gateway's work. */
  #answers({ direction, protocol, source, destination }: Passage): number {
    const other = direction === "left" ? "arrived" : "left";
    return this.#counts.get(`${other} ${protocol} ${destination} ${source}`) ?? -1;
  }
}
