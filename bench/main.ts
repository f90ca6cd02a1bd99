/**
 * `npm run bench`: Postern beside coturn, on this machine; `npm run bench -- ice`: its ICE beside libnice's and Chromium's;
 * `npm run bench -- sip`: its SIP edge beside Kamailio with rtpengine.
 * `npm run bench -- overload`: three times what it can take.
 * docs/performance.md says how it measures and what it found.
 *
 *   npm run bench                          everything: about a quarter of an hour on a machine that does nothing else
 *   npm run bench -- --quick               the same in about a minute, for a first look: one round, small packets
 *   npm run bench -- --only memory         one part: relaying, requesting or memory
 *   npm run bench -- relay                 the same as --only relaying
 *   npm run bench -- --rounds 5 --seconds 1.5   how often, and how long each run measures
 *   npm run bench -- --report FILE.json    prints the tables of an earlier run; with --document also into the docs
 *   npm run bench -- ice                   a quarter of an hour, as root; also with --quick, --rounds, --report, --document
 *   npm run bench -- hot-loops             ten seconds, one core: the loops of every packet and request, beside the last release's;
 *                                          with --document the next are compared with these
 *   npm run bench -- offload               three minutes, as root: what the kernel forwards by itself; also with --rounds, --seconds
 *   npm run bench -- overload              five minutes; also with --seconds (how long each storm blows), --only, --quick, --report, --document
 *   npm run bench -- shards                two shards beside one, a minute; also with --rounds, --seconds, --only
 *   npm run bench -- sip                   as long, as root; also with --seconds and --only registering, calling, talking or memory;
 *                                          --datapath dgram measures Postern on Node's own sockets
 */
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { peerPath } from "../test/support/peers.ts";
import { helpIfAsked } from "../tools/usage.ts";
import { documentReport } from "./document.ts";
import { buildGenerators } from "./generator.ts";
import { judge } from "./goals.ts";
import { benchHotLoops } from "./hot-loops/main.ts";
import { benchIce } from "./ice/main.ts";
import { machine, saveReport } from "./machine.ts";
import { benchOffload } from "./offload/main.ts";
import { benchOverload } from "./overload/main.ts";
import { measureRelaying, type RelayCell } from "./relaying.ts";
import { measureMemory } from "./remembering.ts";
import { formatReport, type Report } from "./report.ts";
import { measureRequesting } from "./requesting.ts";
import { type BenchServer, serverNames, startServer } from "./servers.ts";
import { benchShards } from "./shards/main.ts";
import { benchSip } from "./sip/main.ts";

helpIfAsked(import.meta.filename);

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
    datapath: { type: "string" },
    document: { type: "boolean", default: false },
  },
});

if (subject !== undefined && !["relay", "hot-loops", "ice", "offload", "overload", "shards", "sip"].includes(subject))
  throw new Error(
    `there is no benchmark of ${subject}: relay, hot-loops, ice, offload, overload, shards, sip, or none named`,
  );
if (subject === "ice") await benchIce(flags);
else if (subject === "hot-loops") await benchHotLoops(flags);
else if (subject === "offload") await benchOffload(flags);
else if (subject === "overload") await benchOverload(flags);
else if (subject === "shards") await benchShards(flags);
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
  const only = subject === "relay" ? "relaying" : flags.only;
  const does = (part: string) => only === undefined || only === part;

  let relaying: Report["relaying"] = [];
  let requesting: Report["requesting"] = [];
  if (does("relaying") || does("requesting")) {
    const servers: BenchServer[] = [];
    try {
      for (const name of serverNames) servers.push(await startServer(name));
      const plan = { cells: cells(), rounds, seconds: secondsPerRun, rate: pacedRate };
      if (does("relaying")) relaying = await measureRelaying(servers, plan, progress);
      if (does("requesting")) requesting = await measureRequesting(servers, plan, progress);
    } finally {
      await Promise.all(servers.map(({ relay }) => relay.stop()));
    }
  }
  const memory = does("memory")
    ? await measureMemory(serverNames, flags.quick ? [1_000] : [1_000, 10_000], progress)
    : [];
  const when = new Date().toISOString();
  const on = { ...machine(), coturn: coturnVersion() };
  const report: Report = { when, machine: on, rounds, secondsPerRun, pacedRate, relaying, requesting, memory };
  print(report);
  console.log(`\nAll runs: ${await saveReport(report)}`);
}

function cells(): RelayCell[] {
  const voice = { size: 172, burst: 1 };
  const shapes = flags.quick ? [voice] : [voice, { size: 1_200, burst: 1 }];
  const evenly = [1, 100, 1_000].flatMap((allocations) => shapes.map((shape) => ({ allocations, ...shape })));
  // A frame of video is several packets at once.
  const frames = { allocations: 100, size: 1_200, burst: 16 };
  return [...evenly, frames].flatMap((cell) =>
    (["to-peer", "to-client"] as const).map((direction) => ({ ...cell, direction })),
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
