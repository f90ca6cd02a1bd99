/** `postern check` on a host of the lab, read by a program or shown as it is. */
import { PosternError } from "../core/base/failure.ts";
import type { BehaviorReport } from "../core/stun/behavior/report.ts";
import type { Lab } from "./lab.ts";

export interface Checked {
  readonly reports: readonly BehaviorReport[];
}

/** Works, and the statuses that say that calls will not. */
const statuses: readonly (number | null)[] = [0, 2];

async function run(lab: Lab, host: string, args: readonly string[]): Promise<string> {
  const program = await lab.postern(host, "check", ...args);
  let text = "";
  program.onOutput = (more) => {
    text += more;
  };
  const { code } = await program.ended;
  if (statuses.includes(code)) return text;
  throw new PosternError("lab-command", `postern check ended with ${code}: ${program.output.trim()}`);
}

/** What a user sees. */
export function checkScreen(lab: Lab, host: string, ...uris: readonly string[]): Promise<string> {
  return run(lab, host, uris);
}

/** What `--json` prints of IPv4. */
export async function checkReport(lab: Lab, host: string, ...uris: readonly string[]): Promise<BehaviorReport> {
  const { reports } = JSON.parse(await run(lab, host, ["--json", ...uris])) as Checked;
  const [report] = reports;
  if (report === undefined) throw new Error("postern check has no report");
  return report;
}

/** What the screen says after a word at the beginning of a line: `kind`, `mapping`, … */
export function lineOf(screen: string, word: string): string {
  const line = screen.split("\n").find((one) => one.trimStart().startsWith(`${word} `));
  return line?.trim().slice(word.length).trim() ?? "";
}
