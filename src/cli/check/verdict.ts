/** What the measurements mean for a call, and what to change. Only what was measured is said. */
import { sameAddress } from "../../core/base/address.ts";
import type { BehaviorReport } from "../../core/stun/behavior/report.ts";
import type { Reached } from "../../node/reach.ts";
import { judgeLayers } from "./layers.ts";
import type { Target } from "./targets.ts";

export interface StreamResult {
  readonly target: Target;
  readonly reached: Reached | undefined;
}

export interface Measurements {
  /** Targets over UDP; those that answered are in the reports. */
  readonly udp: readonly Target[];
  readonly reports: readonly BehaviorReport[];
  readonly streams: readonly StreamResult[];
}

export interface Verdict {
  /** `direct`: most calls need no relay. `relayed`: calls work through the relay that was named. `no`: they do not. */
  readonly calls: "direct" | "relayed" | "no";
  readonly works: readonly string[];
  readonly fails: readonly string[];
  readonly change: readonly string[];
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

function relayReached({ udp, reports, streams }: Measurements): string[] {
  const seen = reports.flatMap(({ servers }) => servers.filter(({ mapped }) => mapped !== undefined));
  const byUdp = udp.filter(({ relays, address }) => relays && seen.some(({ server }) => sameAddress(server, address)));
  const byStream = streams.filter(({ target, reached }) => target.relays && reached !== undefined);
  const found = [...byUdp.map(() => "UDP"), ...byStream.map(({ target }) => target.transport.toUpperCase())];
  return [...new Set(found)];
}

export function judge(measured: Measurements): Verdict {
  const { reports, streams, udp } = measured;
  const [works, fails, change]: [string[], string[], string[]] = [[], [], []];
  const overUdp = answeredOverUdp(reports);
  const direct = reports.some(isPredictable);
  const relays = relayReached(measured);
  for (const report of reports) {
    const place = places[report.family];
    if (isPredictable(report))
      works.push(`Direct calls over ${place}: others can send to the address that ICE tells them.`);
    else if (mapsByDestination(report)) {
      fails.push(
        `Direct calls over ${place} to most others behind a NAT: this NAT shows another port to every destination, so the address that ICE tells is not the one that packets must go to.`,
      );
    }
    if (report.rewritten.known && report.rewritten.value) {
      fails.push("Protocols that carry addresses in plain, such as SIP: something on the way rewrites them.");
      change.push("Switch the ALG of the router off (often called SIP ALG), or use TLS.");
    }
    const layers = judgeLayers(report);
    fails.push(...layers.fails);
    change.push(...layers.change);
  }
  if (udp.length > 0 && !overUdp) {
    fails.push("Anything over UDP: no server answered.");
    const other = streams.some(({ reached }) => reached !== undefined);
    change.push(
      other
        ? "Let UDP out in the firewall: over TCP the same network answers."
        : "See whether there is a network at all, and whether the servers run.",
    );
  }
  if (relays.length > 0) works.push(`Reaching the relay, over ${relays.join(", ")}. Credentials were not tried.`);
  else if (!direct) {
    change.push(
      "Give the application a TURN server, and name it here: turn:HOST, and turns:HOST:443 for strict networks.",
    );
  }
  for (const { target, reached } of streams) {
    if (reached?.certificateProblem === undefined) continue;
    fails.push(`Browsers on ${target.uri}: they refuse its certificate (${reached.certificateProblem}).`);
    change.push(`Give ${target.host} a certificate that browsers trust.`);
  }
  const calls = direct ? "direct" : relays.length > 0 ? "relayed" : "no";
  return { calls, works, fails, change: [...new Set(change)] };
}
