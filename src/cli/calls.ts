/** `postern calls`: who talks with whom, and whether each is heard. */
import type { Command } from "commander";
import type { ShownCall } from "../server/services/sip/shown.ts";
import { askDaemon, DAEMON_OPTIONS } from "./ask-daemon.ts";
import { addConfigFlags, type ConfigFlags } from "./config-flags.ts";
import { callWords, streamWords } from "./sip-words.ts";

export function addCallsCommand(program: Command): void {
  const command = program
    .command("calls")
    .description("show the calls that the daemon carries, and whether both sides are heard")
    .option("--json", "print JSON");
  addConfigFlags(command, DAEMON_OPTIONS).action(calls);
}

async function calls({ json, ...flags }: { json?: boolean } & ConfigFlags): Promise<void> {
  const answer = (await askDaemon("/calls", flags)) as { calls: ShownCall[] };
  if (json === true) return console.log(JSON.stringify(answer.calls, undefined, 2));
  if (answer.calls.length === 0) console.log("There is no call.");
  const now = Date.now();
  for (const call of answer.calls) {
    const { caller, callee, called } = call;
    const other = callee === null ? called : `${callee.name} (${callee.transport} ${callee.remote})`;
    console.log(`${caller.name} (${caller.transport} ${caller.remote}) to ${other}: ${callWords(call, now)}`);
    for (const stream of call.streams) {
      const [line, ...troubles] = streamWords(stream, call, now);
      console.log(`    ${line}`);
      for (const trouble of troubles) console.log(`        ${trouble}`);
    }
  }
}
