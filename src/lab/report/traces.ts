/** Each flow, followed from where it began to where it ended, through every translation. */
import type { Passage } from "../passages.ts";
import type { Plan } from "../topology.ts";
import { ipOf, Routes } from "./routes.ts";
import { matchTranslations, type Translation } from "./translations.ts";

export interface Stop {
  readonly node: string;
  /** Packets; at the first stop none has arrived, at the last none leaves. */
  readonly arrived: number;
  readonly left: number;
  /** As the packets bear them when they leave, or, where they end, when they arrive. */
  readonly source: string;
  readonly destination: string;
}

export interface Trace {
  readonly protocol: Passage["protocol"];
  readonly from: string;
  /** Whom it was for, also when it did not get there: a node, or an address that nobody has. */
  readonly to: string;
  readonly stops: readonly Stop[];
  /** Where it left the last stop nobody has its destination. */
  readonly isAstray: boolean;
}

type Passages = ReadonlyMap<string, readonly Passage[]>;

export function traceAll(plan: Plan, passages: Passages): Trace[] {
  return new Tracer(plan, passages).traces();
}

class Tracer {
  readonly #plan: Plan;
  readonly #routes: Routes;
  /** At each node, without what it says to itself. */
  readonly #passages: Passages;
  /** By node and flow. */
  readonly #arrivals: Map<string, Passage> = new Map();
  readonly #translations: Map<Passage, Translation[]> = new Map();
  /** By `protocol endpoint`: who is behind an address that a gateway gave. */
  readonly #behind: Map<string, string> = new Map();
  readonly #made: Set<Passage> = new Set();

  constructor(plan: Plan, passages: Passages) {
    this.#plan = plan;
    this.#routes = new Routes(plan);
    this.#passages = new Map([...passages].map(([node, all]) => [node, all.filter(leavesItsHost)]));
    for (const [node, all] of this.#passages) {
      for (const one of all) if (one.direction === "arrived") this.#arrivals.set(keyOf(node, one), one);
    }
    for (const gateway of plan.gateways) {
      for (const one of matchTranslations(gateway, this.#at(gateway.name), this.#routes)) this.#learn(one);
    }
  }

  traces(): Trace[] {
    const { hosts, gateways } = this.#plan;
    const begun = hosts.flatMap(({ name }) => this.#leaving(name).map((passage) => ({ name, passage })));
    // What a firewall says in another's name.
    const invented = gateways.flatMap(({ name }) =>
      this.#leaving(name)
        .filter((passage) => !this.#made.has(passage))
        .map((passage) => ({ name, passage })),
    );
    return [...begun, ...invented].flatMap(({ name, passage }) => this.#begin(name, passage));
  }

  #at(node: string): readonly Passage[] {
    return this.#passages.get(node) ?? [];
  }

  #leaving(node: string): Passage[] {
    return this.#at(node).filter(({ direction }) => direction === "left");
  }

  #learn(translation: Translation): void {
    const { arrived, left } = translation;
    this.#made.add(left);
    const known = this.#translations.get(arrived);
    if (known === undefined) this.#translations.set(arrived, [translation]);
    else known.push(translation);
    if (left.source !== arrived.source) this.#behind.set(`${left.protocol} ${left.source}`, arrived.source);
    if (left.destination !== arrived.destination) {
      this.#behind.set(`${left.protocol} ${arrived.destination}`, left.destination);
    }
  }

  #begin(node: string, passage: Passage): Trace[] {
    const { protocol, source, destination, packets } = passage;
    const first: Stop = { node, arrived: 0, left: packets, source, destination };
    const to = this.#whoIsAt(protocol, destination);
    return this.#follow([first], passage).map((stops) => {
      const last = stops.at(-1) as Stop;
      const isAstray = last.left > 0 && this.#routes.next(last.node, ipOf(last.destination)) === undefined;
      return { protocol, from: node, to, stops, isAstray };
    });
  }

  #whoIsAt(protocol: string, endpoint: string): string {
    let behind = endpoint;
    for (let known = endpoint; known !== undefined; known = this.#behind.get(`${protocol} ${known}`) as string) {
      behind = known;
    }
    return this.#routes.owner(ipOf(behind)) ?? behind;
  }

  /** From the last of `stops` on, which `passage` has left. */
  #follow(stops: readonly Stop[], { protocol, source, destination }: Passage): Stop[][] {
    const { node: from, left: sent } = stops.at(-1) as Stop;
    const node = this.#routes.next(from, ipOf(destination));
    const arrived = this.#arrivals.get(keyOf(node ?? "", { protocol, source, destination }));
    if (node === undefined || arrived === undefined || stops.length > this.#plan.gateways.length + 2)
      return [[...stops]];
    const came = Math.min(sent, arrived.packets);
    const onward = this.#translations.get(arrived) ?? [];
    const here = { node, arrived: came, source, destination };
    if (onward.length === 0) return [[...stops, { ...here, left: 0 }]];
    return onward.flatMap(({ left, packets }, i) => {
      const share = onward.length === 1 ? came : packets;
      const before = onward.length === 1 ? stops : shared(stops, packets, i, sent - sum(onward));
      const stop = { ...here, ...ends(left), arrived: share, left: Math.min(packets, share) };
      return this.#follow([...before, stop], left);
    });
  }
}

function ends({ source, destination }: Passage): Pick<Passage, "source" | "destination"> {
  return { source, destination };
}

function sum(translations: readonly Translation[]): number {
  return translations.reduce((total, { packets }) => total + packets, 0);
}

/** Of stops that several flows have in common, one's part; the first bears what was lost. */
function shared(stops: readonly Stop[], packets: number, index: number, lost: number): Stop[] {
  const part = packets + (index === 0 ? Math.max(0, lost) : 0);
  return stops.map((stop) => ({ ...stop, arrived: Math.min(stop.arrived, part), left: Math.min(stop.left, part) }));
}

function keyOf(
  node: string,
  { protocol, source, destination }: Pick<Passage, "protocol" | "source" | "destination">,
): string {
  return `${node} ${protocol} ${source} ${destination}`;
}

function leavesItsHost({ source, destination }: Passage): boolean {
  return !source.startsWith("127.") && !destination.startsWith("127.");
}
