/** What the measurements mean for a call, and what to change. Only what was measured is said. */
import type { Family } from "../../core/base/address.ts";
import type { EchoFigures } from "../../core/media/probe-stream.ts";
import type { BehaviorReport } from "../../core/stun/behavior/report.ts";
import type { Reached } from "../../node/reach.ts";
import { judgeFamilies } from "./families.ts";
import { isSeenInsideOnly } from "./inside.ts";
import { judgeLayers } from "./layers.ts";
import { judgeLengths } from "./lengths.ts";
import type { Quality } from "./quality.ts";
import type { RelayTrial } from "./relay-trial.ts";
import { judgeRelays, type RelayJudgement, relaysFor } from "./relay-verdict.ts";
import type { Target } from "./targets.ts";

export interface StreamResult {
  readonly target: Target;
  readonly reached: Reached | undefined;
}

/** Bindings over UDP, evenly sent. */
export interface PingResult {
  readonly target: Target;
  readonly figures: EchoFigures;
}

/** Whether there were servers of this family to ask, and an address of ours to ask from. */
export interface FamilyAsked {
  readonly family: Family;
  readonly asked: "yes" | "no-server" | "no-local-address";
}

export interface Measurements {
  /** Targets over UDP; those that answered are in the reports. */
  readonly udp: readonly Target[];
  readonly reports: readonly BehaviorReport[];
  readonly families: readonly FamilyAsked[];
  readonly pings: readonly PingResult[];
  readonly streams: readonly StreamResult[];
  /** Those that there were credentials for. */
  readonly relays: readonly RelayTrial[];
}

export interface Verdict extends Findings {
  /** `direct`: most calls need no relay. `relayed`: calls work through the relay that was named. `no`: they do not. */
  readonly calls: "direct" | "relayed" | "no";
  /** The servers that were asked stand in our own network: of the internet `direct` says nothing. */
  readonly inside: boolean;
  /** A server answered over UDP: where `calls` is `no`, a direct call to somebody without a NAT may still work. */
  readonly udp: boolean;
  readonly relay: RelayJudgement["relay"];
  /** Through the best relay, and over what; undefined: not measured. */
  readonly quality: (Quality & { readonly over: string }) | undefined;
}

function answeredOverUdp(reports: readonly BehaviorReport[]): boolean {
  return reports.some(({ servers }) => servers.some(({ mapped }) => mapped !== undefined));
}

/** Others reach us by the address that one server was shown. */
function isPredictable({ translated, mapping }: BehaviorReport): boolean {
  return (translated.known && !translated.value) || (mapping.known && mapping.value === "endpoint-independent");
}

function mapsByDestination({ translated, mapping }: BehaviorReport): boolean {
  return translated.known && translated.value && mapping.known && mapping.value !== "endpoint-independent";
}

const places = { 4: "IPv4", 6: "IPv6" } as const;

/** Sentences of a verdict. */
export interface Findings {
  readonly works: readonly string[];
  readonly fails: readonly string[];
  readonly change: readonly string[];
}

export const NOTHING: Findings = { works: [], fails: [], change: [] };

export function judge(measured: Measurements): Verdict {
  const { reports, streams } = measured;
  const predictable = reports.filter(isPredictable);
  const direct = predictable.length > 0;
  const relayed = judgeRelays(measured);
  const isRelayed = relayed.relay === "works" || relayed.relay === "untried";
  const findings: Findings[] = [
    ...reports.map(judgeReport),
    judgeSilence(measured),
    judgeFamilies(measured),
    relayed,
    relayed.relay === "none" && !direct ? adviseRelay(measured) : NOTHING,
    ...streams.map(judgeCertificate),
  ];
  return {
    calls: direct ? "direct" : isRelayed ? "relayed" : "no",
    inside: direct && predictable.every(isSeenInsideOnly),
    udp: answeredOverUdp(reports),
    relay: relayed.relay,
    quality: relayed.quality && { ...relayed.quality, over: relayed.way as string },
    works: distinct(findings.flatMap(({ works }) => works)),
    fails: distinct(findings.flatMap(({ fails }) => fails)),
    change: distinct(findings.flatMap(({ change }) => change)),
  };
}

function distinct(lines: readonly string[]): string[] {
  return [...new Set(lines)];
}

/** Where a relay is needed, and none was reached. */
function adviseRelay(measured: Measurements): Findings {
  const asked = [...measured.udp, ...measured.streams.map(({ target }) => target)];
  if (!asked.some(({ relays }) => relays)) {
    const change =
      "Give the application a TURN server, and name it here: turn:HOST, and turns:HOST:443 for strict networks.";
    return { ...NOTHING, change: [change] };
  }
  if (!answeredOverUdp(measured.reports)) return NOTHING;
  return { ...NOTHING, change: ["See whether the TURN server runs, and whether a firewall shuts its ports."] };
}

/** What the NAT does to a call. */
function judgeReport(report: BehaviorReport): Findings {
  const place = places[report.family];
  const [works, fails, change]: [string[], string[], string[]] = [[], [], []];
  if (isPredictable(report) && isSeenInsideOnly(report)) {
    works.push(`Direct calls over ${place} to whoever is in this network too.`);
    change.push(
      `Name a server on the internet as well: those that answered over ${place} stand in this network, and see no NAT at its edge.`,
    );
  } else if (isPredictable(report)) {
    works.push(`Direct calls over ${place}: others can send to the address that ICE tells them.`);
  } else if (mapsByDestination(report)) {
    fails.push(
      `Direct calls over ${place} to most others behind a NAT: this NAT shows another port to every destination, so the address that ICE tells is not the one that packets must go to.`,
    );
  }
  if (report.rewritten.known && report.rewritten.value) {
    fails.push("Protocols that carry addresses in plain, such as SIP: something on the way rewrites them.");
    change.push("Switch the ALG of the router off (often called SIP ALG), or use TLS.");
  }
  const [layers, lengths, lifetime] = [judgeLayers(report), judgeLengths(report), judgeLifetime(report)];
  return {
    works,
    fails: [...fails, ...layers.fails, ...lengths.fails, ...lifetime.fails],
    change: [...change, ...layers.change, ...lengths.change, ...lifetime.change],
  };
}

/** RFC 4787 §4.3: a NAT keeps a mapping for two minutes at the least (REQ-5). */
const DUE_LIFETIME = 120;

function judgeLifetime({ lifetime }: BehaviorReport): Findings {
  if (!lifetime.known) return NOTHING;
  const { atLeast, below } = lifetime.value;
  if (below === undefined || below > DUE_LIFETIME) return NOTHING;
  return {
    works: [],
    fails: [`Being called after ${Math.ceil(below)} s of silence: by then the NAT has forgotten the way in.`],
    change: [
      `Let the phone or application send something every ${Math.max(1, Math.floor(atLeast))} s or more often (keepalives), or use TCP or TLS.`,
    ],
  };
}

function judgeSilence({ udp, reports, streams, relays }: Measurements): Findings {
  const isHeard = relays.some((trial) => trial.target.transport === "udp" && relaysFor(trial));
  if (udp.length === 0 || isHeard || answeredOverUdp(reports)) return NOTHING;
  return { works: [], fails: ["Anything over UDP: no server answered."], change: [adviseSilence(streams)] };
}

/** What answers instead tells what is in the way. A firewall may let UDP out, and drop what looks like STUN. */
function adviseSilence(streams: readonly StreamResult[]): string {
  const answering = streams.filter(({ reached }) => reached !== undefined);
  if (answering.some(({ target }) => target.throughProxy !== true)) {
    return "Let UDP out in the firewall, to the ports of these servers at least and whatever is in it: over TCP the same network answers.";
  }
  if (answering.length > 0) return "Let UDP out in the firewall, if you may: here only the proxy leads out.";
  const wasProxyTried = streams.some(({ target }) => target.throughProxy === true);
  const proxy = wasProxyTried ? "" : "; where only an HTTP proxy leads out, name it: --proxy http://HOST:PORT";
  return `See whether there is a network at all, and whether the servers run${proxy}.`;
}

function judgeCertificate({ target, reached }: StreamResult): Findings {
  if (reached?.certificateProblem === undefined) return NOTHING;
  return {
    works: [],
    fails: [`Browsers on ${target.uri}: they refuse its certificate (${reached.certificateProblem}).`],
    change: [`Give ${target.host} a certificate that browsers trust.`],
  };
}
