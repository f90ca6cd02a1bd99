/**
 * `npm run bench`: Postern beside coturn, on this machine; `npm run bench -- ice`: its ICE beside libnice's and Chromium's;
 * `npm run bench -- sip`: its SIP edge beside Kamailio with rtpengine.
 * docs/performance.md says how it measures and what it found.
 *
 *   npm run bench                          everything: about a quarter of an hour on a machine that does nothing else
 *   npm run bench -- --quick               the same in about a minute, for a first look: one round, small packets
 *   npm run bench -- --only memory         one part: relaying, requesting or memory
 *   npm run bench -- --rounds 5 --seconds 1.5   how often, and how long each run measures
 *   npm run bench -- --report FILE.json    prints the tables of an earlier run; with --document also into the docs
 *   npm run bench -- ice                   a quarter of an hour, as root; also with --quick, --rounds, --report, --document
 *   npm run bench -- sip                   as long, as root; also with --seconds and --only registering, calling, talking or memory
 */
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { peerPath } from "../test/support/peers.ts";
import { documentReport } from "./document.ts";
import { buildGenerators } from "./generator.ts";
import { judge } from "./goals.ts";
import { benchIce } from "./ice/main.ts";
import { machine, saveReport } from "./machine.ts";
import { measureRelaying, type RelayCell } from "./relaying.ts";
import { measureMemory } from "./remembering.ts";
import { formatReport, type Report } from "./report.ts";
import { measureRequesting } from "./requesting.ts";
import { type BenchServer, type ServerName, startServer } from "./servers.ts";
import { benchSip } from "./sip/main.ts";

const names: readonly ServerName[] = ["postern", "coturn"];
const pacedRate = 20_000;

const {
  values: flags,
  positionals: [subject],
} = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    report: { type: "string" },
    document: { type: "boolean", default: false },
  },
});

if (subject !== undefined && subject !== "ice" && subject !== "sip")
  throw new Error(`there is no benchmark of ${subject}: ice, sip, or none named`);
if (subject === "ice") await benchIce(flags);
else if (subject === "sip") await benchSip(flags);
else if (flags.report === undefined) await bench();
else await reportOn(JSON.parse(await readFile(flags.report, "utf8")) as Report);

async function reportOn(report: Report): Promise<void> {
  print(report);
  if (flags.document) await documentReport(formatReport(report));
}

async function bench(): Promise<void> {
  if (availableParallelism() < 2)
    throw new Error("the benchmark needs two cores: one for the server, one for the load");
  await buildGenerators();
  const rounds = Number(flags.rounds ?? (flags.quick ? 1 : 5));
  const secondsPerRun = Number(flags.seconds ?? (flags.quick ? 0.7 : 3));
  const progress = (line: string) => process.stderr.write(`${line}\n`);
  const does = (part: string) => flags.only === undefined || flags.only === part;

  let relaying: Report["relaying"] = [];
  let requesting: Report["requesting"] = [];
  if (does("relaying") || does("requesting")) {
    const servers: BenchServer[] = [];
    try {
      for (const name of names) servers.push(await startServer(name));
      const plan = { cells: cells(), rounds, seconds: secondsPerRun, rate: pacedRate };
      if (does("relaying")) relaying = await measureRelaying(servers, plan, progress);
      if (does("requesting")) requesting = await measureRequesting(servers, plan, progress);
    } finally {
      await Promise.all(servers.map(({ relay }) => relay.stop()));
    }
  }
  const memory = does("memory") ? await measureMemory(names, flags.quick ? [1_000] : [1_000, 10_000], progress) : [];
  const when = new Date().toISOString();
  const on = { ...machine(), coturn: coturnVersion() };
  const report: Report = { when, machine: on, rounds, secondsPerRun, pacedRate, relaying, requesting, memory };
  print(report);
  console.log(`\nAll runs: ${await saveReport(report)}`);
}

function cells(): RelayCell[] {
  const sizes = flags.quick ? [172] : [172, 1_200];
  return [1, 100, 1_000].flatMap((allocations) =>
    sizes.flatMap((size) => (["to-peer", "to-client"] as const).map((direction) => ({ allocations, size, direction }))),
  );
}

function coturnVersion(): string {
  const version = execFileSync(peerPath("turnserver") ?? "turnserver", ["--version"], { encoding: "utf8" });
  return version.trim().split("\n").at(-1) ?? "";
}

function print(report: Report): void {
  console.log(`${formatReport(report)}\n`);
  for (const { goal, reached, met } of judge(report))
    console.log(`${met ? "met    " : "NOT MET"}  ${goal}: ${reached}`);
}
