/** `postern calls`: who talks with whom, or has, and whether each is heard, or was. */
import type { Command } from "commander";
import type { ShownCall } from "../server/services/sip/shown.ts";
import { askDaemon, DAEMON_OPTIONS } from "./ask-daemon.ts";
import { addConfigFlags, type ConfigFlags } from "./config-flags.ts";
import { printable } from "./printable.ts";
import { callWords, clock, streamWords, troubleWords } from "./sip-words.ts";

export function addCallsCommand(program: Command): void {
  const command = program
    .command("calls")
    .description("show the calls that the daemon carries, and whether both sides are heard")
    .option("--ended", "those that are over instead: of the last hour, 200 at most, the latest last")
    .option("--json", "print JSON");
  addConfigFlags(command, DAEMON_OPTIONS).action(calls);
}

type CallFlags = { readonly json?: boolean; readonly ended?: boolean } & ConfigFlags;

async function calls({ json, ended, ...flags }: CallFlags): Promise<void> {
  const answer = (await askDaemon(ended === true ? "/calls/ended" : "/calls", flags)) as { calls: ShownCall[] };
  if (json === true) return console.log(JSON.stringify(answer.calls, undefined, 2));
  if (answer.calls.length === 0)
    console.log(ended === true ? "No call has ended in the last hour." : "There is no call.");
  for (const call of answer.calls) for (const line of callLines(call, Date.now())) console.log(line);
}

export function callLines(call: ShownCall, now: number): string[] {
  const { caller, callee, called } = call;
  const other = callee === null ? called : `${callee.name} (${callee.transport} ${callee.remote})`;
  const since = call.ended === null ? "" : `${clock(call.started)}   `;
  const streams = call.streams.flatMap((stream) => {
    const [line, ...troubles] = streamWords(stream, call, now);
    return [`    ${line}`, ...troubles.map((trouble) => `        ${trouble}`)];
  });
  return [
    `${since}${caller.name} (${caller.transport} ${caller.remote}) to ${other}: ${callWords(call, now)}`,
    ...call.troubles.map((trouble) => `    ${troubleWords(trouble, call.troubles)}`),
    ...streams,
  ].map(printable);
}
