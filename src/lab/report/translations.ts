/**
 * What a gateway made of the packets that came to it: which of the flows that left it are which of those that arrived.
 * A gateway does not tell, so they are matched by the address that it leaves alone, by counts, and by what came back.
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

interface Match {
  readonly arrived: Passage;
  readonly left: Passage;
  readonly score: number;
}

const scores = { samePort: 2, sameCount: 3, sameAnswers: 2, untouched: 8 } as const;

/** Pairs the best first; what is left of a count goes to the next best. */
export function matchTranslations(
  gateway: PlannedGateway,
  passages: readonly Passage[],
  routes: Routes,
): Translation[] {
  const counts = new Map(passages.map((one) => [keyOf(one), one.packets]));
  const arrivals = passages.filter(({ direction }) => direction === "arrived");
  const departures = passages.filter(({ direction }) => direction === "left");
  const matches = departures
    .flatMap((left) => arrivals.map((arrived) => ({ arrived, left, score: rate(arrived, left) })))
    .filter(({ score }) => score >= 0)
    .sort((one, other) => other.score - one.score);
  return settle(matches);

  function rate(arrived: Passage, left: Passage): number {
    if (arrived.protocol !== left.protocol || !isPossible(gateway, arrived, left, routes)) return -1;
    let score = arrived.packets === left.packets ? scores.sameCount : 0;
    if (arrived.source === left.source && arrived.destination === left.destination) score += scores.untouched;
    if (portOf(arrived.source) === portOf(left.source)) score += scores.samePort;
    if (portOf(arrived.destination) === portOf(left.destination)) score += scores.samePort;
    const [asked, answered] = [counts.get(answerTo(left, "arrived")), counts.get(answerTo(arrived, "left"))];
    if (asked !== undefined && asked === answered) score += scores.sameAnswers;
    return score;
  }
}

function settle(matches: readonly Match[]): Translation[] {
  const [open, waiting] = [new Map<Passage, number>(), new Map<Passage, number>()];
  const settled: Translation[] = [];
  for (const { arrived, left } of matches) {
    const [came, went] = [open.get(arrived) ?? arrived.packets, waiting.get(left) ?? left.packets];
    const packets = Math.min(came, went);
    if (packets === 0) continue;
    open.set(arrived, came - packets);
    waiting.set(left, went - packets);
    settled.push({ arrived, left, packets });
  }
  return settled;
}

/** Outward the destination stays, inward the source; a packet that turns in the gateway may lose both. */
function isPossible(gateway: PlannedGateway, arrived: Passage, left: Passage, routes: Routes): boolean {
  const [from, to] = [ipOf(left.source), ipOf(left.destination)];
  const keepsSource = left.source === arrived.source;
  if (left.destination === arrived.destination) return keepsSource || from === gateway.outside;
  const turns = routes.isInside(gateway, ipOf(arrived.source)) && from === gateway.outside;
  return ipOf(arrived.destination) === gateway.outside && routes.isInside(gateway, to) && (keepsSource || turns);
}

function keyOf({ direction, protocol, source, destination }: Passage): string {
  return `${direction} ${protocol} ${source} ${destination}`;
}

function answerTo({ protocol, source, destination }: Passage, direction: Passage["direction"]): string {
  return `${direction} ${protocol} ${destination} ${source}`;
}
