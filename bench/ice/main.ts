/** `npm run bench -- ice`: runs, saves, shows. */
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { peerPath } from "../../test/support/peers.ts";
import { documentReport } from "../document.ts";
import { machine, saveReport } from "../machine.ts";
import { measureIce } from "./measure.ts";
import { formatIce, type IceReport, judgeIce } from "./report.ts";

export interface IceFlags {
  readonly quick: boolean;
  readonly rounds?: string;
  readonly report?: string;
  readonly document: boolean;
}

export async function benchIce({ quick, rounds, report: file, document }: IceFlags): Promise<void> {
  if (file !== undefined) {
    const report = JSON.parse(await readFile(file, "utf8")) as IceReport;
    print(report);
    if (document) await documentReport(formatIce(report), "bench ice");
    return;
  }
  const plan = { rounds: Number(rounds ?? (quick ? 1 : 5)), delays: quick ? [0, 50] : [0, 50, 150], isQuick: quick };
  const ice = await measureIce(plan, (line) => process.stderr.write(`${line}\n`));
  const report = { when: new Date().toISOString(), machine: peers(), rounds: plan.rounds, ice };
  print(report);
  console.log(`\nAll runs: ${await saveReport(report, "ice-")}`);
}

function peers(): Record<string, string> {
  const version = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: "utf8" }).trim();
  return {
    ...machine(),
    libnice: version("pkg-config", "--modversion", "nice"),
    Chromium: version(peerPath("chromium") ?? "chromium", "--version", "--no-sandbox").replace(
      /^Chromium (\S+).*/s,
      "$1",
    ),
  };
}

function print(report: IceReport): void {
  console.log(`${formatIce(report)}\n`);
  for (const { goal, reached, met } of judgeIce(report))
    console.log(`${met ? "met    " : "NOT MET"}  ${goal}: ${reached}`);
}
