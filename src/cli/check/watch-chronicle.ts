/** What the rounds of a watch have seen: what changed from one to the next, and what there is to say at the end. */
import { type Address, formatAddress, formatIp, sameIp } from "../../core/base/address.ts";
import type { EchoFigures } from "../../core/media/probe-stream.ts";

export interface OutageSeen {
  readonly from: Date;
  /** Undefined: it lasts. */
  readonly until: Date | undefined;
}

/** One path in one round. */
export interface PathSeen {
  readonly figures: EchoFigures;
  readonly isOut: boolean;
  /** All, since the beginning. */
  readonly outages: readonly OutageSeen[];
  readonly mapped: Readonly<Address> | undefined;
  readonly carriers: number;
  /** Why nothing can be sent at all. */
  readonly failure: string | undefined;
}

export interface PathRound {
  readonly path: string;
  readonly works: boolean;
  readonly sent: number;
  readonly lost: number;
  readonly roundTrip: EchoFigures["roundTrip"];
  readonly mapped: Readonly<Address> | undefined;
  readonly failure: string | undefined;
}

export type Change =
  | { readonly path: string; readonly kind: "died"; readonly at: Date }
  | { readonly path: string; readonly kind: "back" | "away"; readonly at: Date; readonly seconds: number }
  /** `address`: our public address. `mapping`: the NAT shows another port for the same socket. */
  | { readonly path: string; readonly kind: "address" | "mapping"; readonly before: string; readonly now: string }
  /** The path works again over another allocation or connection: the server may have been restarted. */
  | { readonly path: string; readonly kind: "replaced" };

export interface Round {
  readonly time: Date;
  readonly paths: readonly PathRound[];
  readonly changes: readonly Change[];
}

export interface PathSummary {
  readonly path: string;
  /** Whether anything ever came back. */
  readonly works: boolean;
  readonly sent: number;
  readonly lost: number;
  readonly outages: readonly (OutageSeen & { readonly seconds: number | undefined })[];
  /** Of all rounds; undefined: nothing came back. */
  readonly worst: { readonly roundTrip: number; readonly jitter: number; readonly loss: number } | undefined;
}

function seconds({ from, until }: OutageSeen): number {
  return ((until as Date).getTime() - from.getTime()) / 1000;
}

export class Chronicle {
  readonly #names: readonly string[];
  readonly #before: Map<string, PathSeen> = new Map();
  readonly #summaries: Map<string, PathSummary> = new Map();

  constructor(names: readonly string[]) {
    this.#names = names;
  }

  get summary(): readonly PathSummary[] {
    return this.#names.flatMap((name) => this.#summaries.get(name) ?? []);
  }

  /** In the order of the names. */
  add(seen: readonly PathSeen[]): Omit<Round, "time"> {
    const changes: Change[] = [];
    const paths = seen.map((now, i) => {
      const path = this.#names[i] as string;
      const before = this.#before.get(path);
      // What a path that is away is seen as stays what it was.
      this.#before.set(path, { ...now, mapped: now.mapped ?? before?.mapped });
      this.#summaries.set(path, summarize(path, now, this.#summaries.get(path)));
      changes.push(...changesOf(path, before, now));
      const { figures, failure, mapped, isOut } = now;
      const { sent, lost, roundTrip } = figures;
      return { path, works: roundTrip !== undefined && !isOut, sent, lost, roundTrip, mapped, failure };
    });
    return { paths, changes: oneAddressChange(changes) };
  }
}

function changesOf(path: string, before: PathSeen | undefined, now: PathSeen): Change[] {
  const changes: Change[] = [];
  for (const [i, outage] of now.outages.entries()) {
    const known = before?.outages[i];
    if (outage.until === undefined) {
      if (known === undefined) changes.push({ path, kind: "died", at: outage.from });
    } else if (known === undefined) changes.push({ path, kind: "away", at: outage.from, seconds: seconds(outage) });
    else if (known.until === undefined)
      changes.push({ path, kind: "back", at: outage.until, seconds: seconds(outage) });
  }
  if (before !== undefined && before.carriers > 0 && now.carriers > before.carriers)
    changes.push({ path, kind: "replaced" });
  return [...changes, ...mappingChanges(path, before, now)];
}

function mappingChanges(path: string, before: PathSeen | undefined, now: PathSeen): Change[] {
  const [was, is] = [before?.mapped, now.mapped];
  if (was === undefined || is === undefined) return [];
  if (!sameIp(was, is)) return [{ path, kind: "address", before: formatIp(was), now: formatIp(is) }];
  const isSameCarrier = before?.carriers === now.carriers;
  if (!isSameCarrier || was.port === is.port) return [];
  return [{ path, kind: "mapping", before: formatAddress(was), now: formatAddress(is) }];
}

/** All paths of a family see the same new address: it is told once. */
function oneAddressChange(changes: readonly Change[]): Change[] {
  const told = new Set<string>();
  return changes.filter((change) => {
    if (change.kind !== "address") return true;
    const key = `${change.before} ${change.now}`;
    const isNew = !told.has(key);
    told.add(key);
    return isNew;
  });
}

function summarize(path: string, { figures, outages }: PathSeen, before: PathSummary | undefined): PathSummary {
  const { sent, lost, roundTrip } = figures;
  const worst = before?.worst;
  const loss = sent === 0 ? 0 : lost / sent;
  return {
    path,
    works: before?.works === true || roundTrip !== undefined,
    sent: (before?.sent ?? 0) + sent,
    lost: (before?.lost ?? 0) + lost,
    outages: outages.map((one) => ({ ...one, seconds: one.until && seconds(one) })),
    worst:
      roundTrip === undefined
        ? worst
        : {
            roundTrip: Math.max(worst?.roundTrip ?? 0, roundTrip.max),
            jitter: Math.max(worst?.jitter ?? 0, roundTrip.jitter),
            loss: Math.max(worst?.loss ?? 0, loss),
          },
  };
}
