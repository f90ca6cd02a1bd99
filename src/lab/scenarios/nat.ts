/** Every NAT of the lab, asked by `postern check`: it must say what the NAT was declared to be. */
import type { BehaviorReport, ClassicName, Finding } from "../../core/stun/behavior/report.ts";
import type { NatBehavior } from "../../natlab/behavior.ts";
import { checkReport } from "../check.ts";
import { type NatName, nats } from "../nats.ts";
import type { Outcome, Scenario } from "../scenario.ts";
import { Server } from "../server.ts";

export function said<T>(finding: Finding<T>): T | string {
  return finding.known ? finding.value : `unknown (${finding.why})`;
}

// RFC 3489 §5: a cone has one port for all, and its kind is its filter.
const cones: Readonly<Record<NatBehavior["filtering"], ClassicName>> = {
  "endpoint-independent": "full-cone",
  "address-dependent": "restricted-cone",
  "address-and-port-dependent": "port-restricted-cone",
};

function declared({ mapping, filtering, hairpin }: NatBehavior): Record<string, string> {
  const isCone = mapping === "endpoint-independent";
  const hairpins = { none: "none", external: "external-source", internal: "internal-source" };
  return {
    mapping,
    filtering,
    name: isCone ? cones[filtering] : "symmetric",
    // What a NAT turns around comes from the mapping toward itself, which a filter by destination lets nobody use.
    hairpinning: isCone || hairpin !== "none" ? hairpins[hairpin] : "unknown (hidden-by-filter)",
  };
}

function found({ mapping, filtering, classicName, hairpinning }: BehaviorReport): Record<string, string> {
  return {
    mapping: said(mapping),
    filtering: said(filtering),
    name: said(classicName),
    hairpinning: said(hairpinning),
  };
}

/** What `postern check` says of a NAT, beside what it is. */
export function judge(behavior: NatBehavior, report: BehaviorReport): Outcome {
  const [must, is] = [declared(behavior), found(report)];
  const wrong = Object.keys(must).filter((name) => must[name] !== is[name]);
  if (wrong.length === 0) {
    const words = Object.entries(is).map(([name, value]) => `${name} ${value}`);
    return { outcome: "works", why: `check is right: ${words.join(", ")}`, figures: is };
  }
  const differences = wrong.map((name) => `${name} is ${must[name]}, and check says ${is[name]}`);
  return { outcome: "fails", why: differences.join("; "), figures: is };
}

/** `actual`: another NAT than the one that is asked for, to see that the scenario tells. */
export function natScenario(name: NatName, actual: NatName = name): Scenario {
  const { title, behavior } = nats[name];
  return {
    name,
    title: `\`postern check\` behind a NAT that is this: ${title}.`,
    topology: { outside: ["server"], sites: [{ name: "home", hosts: ["alice"], gateways: [{ nat: actual }] }] },
    expected: "works",
    run: async (lab) => {
      const server = await Server.start(lab);
      return judge(behavior, await checkReport(lab, "alice", `stun:${server.address}`));
    },
  };
}

export const natScenarios: readonly Scenario[] = (Object.keys(nats) as NatName[]).map((name) => natScenario(name));
