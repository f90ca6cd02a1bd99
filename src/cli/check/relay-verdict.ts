/** What the relays that were named are worth for a call. One that is reached and refuses is worth nothing. */
import { sameAddress } from "../../core/base/address.ts";
import { judgeQuality, type Quality } from "./quality.ts";
import { adviceOn } from "./refusals.ts";
import type { RelayTrial } from "./relay-trial.ts";
import { type Target, turnUriOf, wayOf } from "./targets.ts";
import type { Measurements } from "./verdict.ts";

export interface RelayJudgement {
  /** `untried`: reached, and there were no credentials to try. `broken`: it lets us in, and nothing comes through. */
  readonly relay: "works" | "untried" | "refuses" | "broken" | "none";
  /** Of the best one, undefined where none was measured. */
  readonly quality: Quality | undefined;
  /** Over which that is. */
  readonly way: string | undefined;
  readonly works: readonly string[];
  readonly fails: readonly string[];
  readonly change: readonly string[];
}

type Seen = Pick<Measurements, "udp" | "reports" | "streams" | "relays">;

/** A relay that browsers and most applications would use: its certificate is good. */
function hasGoodCertificate({ streams }: Seen, target: Target): boolean {
  return !streams.some((one) => one.target === target && one.reached?.certificateProblem !== undefined);
}

export function relaysFor(trial: RelayTrial): boolean {
  if (trial.state === "allocated") return true;
  const quality = trial.state === "echoed" ? judgeQuality(trial.figures) : undefined;
  return quality !== undefined && quality.level !== "unusable";
}

function untried({ udp, reports, streams, relays }: Seen): Target[] {
  const seen = reports.flatMap(({ servers }) => servers.filter(({ mapped }) => mapped !== undefined));
  const byUdp = udp.filter(({ address }) => seen.some(({ server }) => sameAddress(server, address)));
  const byStream = streams.flatMap(({ target, reached }) => (reached === undefined ? [] : [target]));
  const tried = relays.map(({ target }) => target);
  return [...byUdp, ...byStream].filter((target) => target.relays && !tried.includes(target));
}

/** As ICE prefers them. */
const preference = ["UDP", "TCP", "TLS", "TCP through the proxy", "TLS through the proxy"];

function inOrder(targets: readonly Target[]): Target[] {
  return targets.toSorted((a, b) => preference.indexOf(wayOf(a)) - preference.indexOf(wayOf(b)));
}

function ways(targets: readonly Target[], name: (target: Target) => string = wayOf): string {
  return [...new Set(inOrder(targets).map(name))].join(", ");
}

/** With the family, where the same way is there in the other family too. */
function nameAmong(all: readonly Target[]): (target: Target) => string {
  return (target) => {
    const { family } = target.address;
    const isTwice = all.some((other) => wayOf(other) === wayOf(target) && other.address.family !== family);
    return isTwice ? `${wayOf(target)} and IPv${family}` : wayOf(target);
  };
}

export function judgeRelays(seen: Seen): RelayJudgement {
  const good = seen.relays.filter((trial) => relaysFor(trial) && hasGoodCertificate(seen, trial.target));
  const usable = inOrder(good.map(({ target }) => target));
  const unproven = untried(seen).filter((target) => hasGoodCertificate(seen, target));
  const works: string[] = [];
  if (usable.length > 0) works.push(`Relayed calls, over ${ways(usable)}: the credentials are good.`);
  if (unproven.length > 0) works.push(`Reaching the relay, over ${ways(unproven)}. Credentials were not tried.`);
  const best = seen.relays.find(({ target }) => target === usable[0]);
  const quality = best?.state === "echoed" ? judgeQuality(best.figures) : undefined;
  const { fails, change } = judgeFailures(seen);
  return {
    relay: usable.length > 0 ? "works" : unproven.length > 0 ? "untried" : judgeUseless(seen),
    quality,
    way: quality && wayOf((best as RelayTrial).target),
    works,
    fails: [...fails, ...(quality?.notices ?? [])],
    change: [...change, ...onlyWay(seen, usable.length > 0 ? usable : unproven), ...mendQuality(quality)],
  };
}

/** Of those that are good for nothing. */
function judgeUseless({ relays }: Seen): RelayJudgement["relay"] {
  if (relays.some(({ state }) => state === "refused")) return "refuses";
  return relays.some(({ state }) => state !== "unreached") ? "broken" : "none";
}

/** One sentence for all transports of a server that fail alike. */
function judgeFailures({ relays }: Seen): Pick<RelayJudgement, "fails" | "change"> {
  const alike = new Map<string, { targets: Target[]; why: string; host: string }>();
  const change: string[] = [];
  for (const trial of relays) {
    const { host } = trial.target;
    const { why, change: what } = "failure" in trial ? adviceOn(trial) : lost(trial);
    if (why === undefined) continue;
    const entry = alike.get(`${host} ${why}`) ?? { targets: [], why, host };
    entry.targets.push(trial.target);
    alike.set(`${host} ${why}`, entry);
    if (what !== undefined) change.push(what);
  }
  const name = nameAmong(relays.map(({ target }) => target));
  const fails = [...alike.values()].map(({ targets, why, host }) => {
    return `The relay ${host} over ${ways(targets, name)}: ${why}.`;
  });
  return { fails, change };
}

function lost(trial: Extract<RelayTrial, { state: "echoed" }>): { why?: string; change?: string } {
  if (relaysFor(trial)) return {};
  const { sent, lost: missing } = trial.figures;
  return {
    why: `the credentials are good, but of ${sent} packets ${missing} did not come back`,
    change: "Open the relay's ports in its firewall, and let it relay to its own relay address.",
  };
}

/** What an application must be told when the usual way is closed. */
function onlyWay({ udp }: Seen, usable: readonly Target[]): string[] {
  const [first] = usable;
  if (first === undefined || first.transport === "udp") return [];
  const uris = [...new Set(usable.map(turnUriOf))].join(" and ");
  const name = `Name ${uris} in your application`;
  if (first.throughProxy === true)
    return [`${name}, and the proxy, unless it takes the system's: only through the proxy the relay is reached.`];
  const open = ways(usable).replace(/, ([^,]*)$/, " and $1");
  const lead = open.includes(" and ") ? "lead" : "leads";
  return udp.some(({ relays }) => relays) ? [`${name}: from here only ${open} ${lead} to the relay.`] : [];
}

function mendQuality(quality: Quality | undefined): string[] {
  if (quality === undefined || quality.level === "good") return [];
  if (quality.loss <= 0.02 && quality.jitter <= 30) return ["Use a relay that is nearer."];
  return ["Try a cable instead of wireless, another network, or less traffic at the same time."];
}
