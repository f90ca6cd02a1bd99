/** What the lab's tests share. */
import { runScenario } from "../../src/lab/lab.ts";
import type { Result, Scenario } from "../../src/lab/scenario.ts";
import { main } from "../support/daemon.ts";
import { requirePeer, requirePrivilege, type Skip } from "../support/peers.ts";

export const skip: Skip =
  requirePrivilege("root", "net-admin", "sys-admin") || requirePeer("ip", "nft", "setpriv", "unshare", "nsenter");

/** They wait more than they work, and know nothing of each other. */
export const atOnce = 4;

export function runHere(scenario: Scenario, roundTrip = 0): Promise<Result> {
  return runScenario(scenario, { postern: [process.execPath, main], roundTrip });
}

/** The number of a figure such as "50.31 ms". */
export function milliseconds({ figures = {} }: Result, name: string): number {
  return Number(/^(-?[\d.]+) ms$/.exec(figures[name] ?? "")?.[1]);
}
