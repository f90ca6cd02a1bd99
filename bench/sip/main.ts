/** `npm run bench -- sip`: runs, saves, shows. */
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { documentReport } from "../document.ts";
import { buildGenerators } from "../generator.ts";
import { machine, saveReport } from "../machine.ts";
import { SipMeasurement, type SipPlan } from "./measure.ts";
import { BenchNetwork } from "./network.ts";
import { formatSip, judgeSip, type SipReport } from "./report.ts";

export interface SipFlags {
  readonly quick: boolean;
  readonly only?: string;
  readonly rounds?: string;
  readonly seconds?: string;
  readonly report?: string;
  readonly datapath?: string;
  readonly document: boolean;
}

export async function benchSip(flags: SipFlags): Promise<void> {
  if (flags.report === undefined) return run(flags);
  const report = JSON.parse(await readFile(flags.report, "utf8")) as SipReport;
  print(report);
  if (flags.document) await documentReport(formatSip(report), "bench sip");
}

async function run({ quick, only, rounds, seconds, datapath = "auto" }: SipFlags): Promise<void> {
  if (availableParallelism() < 2)
    throw new Error("the benchmark needs two cores: one for the server, one for the load");
  await buildGenerators(["sipgen"]);
  const plan: SipPlan = {
    rounds: Number(rounds ?? (quick ? 1 : 5)),
    seconds: Number(seconds ?? (quick ? 1 : 3)),
    users: 10_000,
    datapath,
    talking: quick ? [100, 500] : [1, 100, 250, 500, 750],
    phones: 20_000,
    connections: quick ? 1_000 : 5_000,
    does: (part) => only === undefined || only === part,
  };
  await using network = await BenchNetwork.build();
  const measurement = new SipMeasurement(network, plan, (line) => process.stderr.write(`${line}\n`));
  const memory = await measurement.memory();
  const connections = await measurement.connectionsMemory();
  const when = new Date().toISOString();
  const on = { ...machine(), ...versions(), "Postern's datapath": datapath };
  const load = await measurement.underLoad();
  const held = { memory, connections };
  const report: SipReport = { when, machine: on, rounds: plan.rounds, secondsPerRun: plan.seconds, ...load, ...held };
  print(report);
  console.log(`\nAll runs: ${await saveReport(report, "sip-")}`);
}

function versions(): Record<string, string> {
  const version = (name: string) =>
    /\d+(\.\d+)+/.exec(execFileSync("sh", ["-c", `${name} -v 2>&1`], { encoding: "utf8" }))?.[0] ?? "";
  return { Kamailio: version("kamailio"), rtpengine: version("rtpengine") };
}

function print(report: SipReport): void {
  console.log(`${formatSip(report)}\n`);
  for (const { goal, reached, met } of judgeSip(report))
    console.log(`${met ? "met    " : "NOT MET"}  ${goal}: ${reached}`);
}
