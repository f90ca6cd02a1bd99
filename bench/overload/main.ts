/** `npm run bench -- overload`: what becomes of sessions and of new allocations in a storm, for Postern and coturn. */
import { readFile } from "node:fs/promises";
import { documentReport } from "../document.ts";
import { buildGenerators } from "../generator.ts";
import { machine, saveReport } from "../machine.ts";
import { markdown, number } from "../report.ts";
import { type Fate, measureOverload, type OverloadResult, storms } from "./storms.ts";

const names = ["postern mmsg", "coturn"] as const;

interface Flags {
  readonly quick: boolean;
  readonly only?: string | undefined;
  readonly seconds?: string | undefined;
  readonly report?: string | undefined;
  readonly document: boolean;
}

interface Report {
  readonly when: string;
  readonly machine: Readonly<Record<string, string>>;
  readonly seconds: number;
  readonly results: readonly OverloadResult[];
}

export async function benchOverload(flags: Flags): Promise<void> {
  const report = flags.report === undefined ? await bench(flags) : await read(flags.report);
  console.log(formatOverload(report));
  if (flags.document) await documentReport(formatOverload(report), "bench overload");
}

async function read(file: string): Promise<Report> {
  return JSON.parse(await readFile(file, "utf8")) as Report;
}

async function bench({ quick, only, seconds: wanted }: Flags): Promise<Report> {
  await buildGenerators(["relaygen", "ratesgen", "stormgen"]);
  const seconds = Number(wanted ?? (quick ? 5 : 20));
  const progress = (line: string) => process.stderr.write(`${line}\n`);
  const which = storms.filter((storm) => only === undefined || only === storm);
  const results = await measureOverload(which, quick ? ["postern mmsg"] : names, seconds, progress);
  const report = { when: new Date().toISOString(), machine: machine(), seconds, results };
  console.log(`All runs: ${await saveReport(report, "overload-")}\n`);
  return report;
}

const percent = (part: number, whole: number) => (whole === 0 ? "-" : `${number((100 * part) / whole, 2)} %`);
const fateOf = ({ granted, shed, refused, silent }: Fate) => [granted, shed + refused, silent].map(String).join(" / ");

function formatOverload({ when, machine: on, seconds, results }: Report): string {
  const rows = results.map(
    ({ storm, server, capacity, sentPerSecond, servedPerSecond, newcomers, refreshes, afterwards }) => [
      storm,
      server,
      number(capacity),
      number(sentPerSecond),
      number(servedPerSecond),
      percent(refreshes.succeeded, refreshes.refreshes),
      percent(refreshes.atOnce, refreshes.refreshes),
      number(refreshes.p99Microseconds / 1000, 1),
      fateOf(newcomers),
      fateOf(afterwards),
    ],
  );
  const head = ["storm of", "server", "capacity/s", "sent/s", "served/s", "refreshes", "at once", "p99 ms"];
  head.push("new allocations meanwhile: granted / refused / no answer", "a second later");
  const what = Object.entries(on).map(([name, value]) => `${name} ${value}`);
  return [`${when.slice(0, 10)}: ${what.join("; ")}. Storms of ${seconds} s.`, markdown(head, rows)].join("\n\n");
}
