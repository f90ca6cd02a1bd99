/** `postern registrations`: which phones are there, where they really are, and whether calls reach them. */
import type { Command } from "commander";
import type { ShownRefusal, ShownRegistration } from "../server/services/sip/shown.ts";
import { askDaemon, DAEMON_OPTIONS } from "./ask-daemon.ts";
import { addConfigFlags, type ConfigFlags } from "./config-flags.ts";
import { refusalLines } from "./refusal-words.ts";
import { ago, phoneWords, wayWords } from "./sip-words.ts";

export function addRegistrationsCommand(program: Command): void {
  const command = program
    .command("registrations")
    .description("show the phones that are registered with the daemon, and whether calls reach them")
    .option("--json", "print JSON");
  addConfigFlags(command, DAEMON_OPTIONS).action(registrations);
}

async function registrations({ json, ...flags }: { json?: boolean } & ConfigFlags): Promise<void> {
  const answer = (await askDaemon("/registrations", flags)) as {
    registrations: ShownRegistration[];
    refused: ShownRefusal[];
  };
  if (json === true) return console.log(JSON.stringify(answer.registrations, undefined, 2));
  const phones = answer.registrations.toSorted((a, b) => a.user.localeCompare(b.user));
  if (phones.length === 0) console.log("No phone is registered.");
  const now = Date.now();
  for (const phone of phones) {
    const { user, transport, remote, contact, userAgent, registered, expires } = phone;
    const left = Math.max(0, Math.round((Date.parse(expires) - now) / 1000));
    console.log(`${user}   ${transport} ${remote}   ${phoneWords(phone, now)}`);
    console.log(`    says it is ${contact}${userAgent === null ? "" : `, ${userAgent}`}`);
    const way = wayWords(phone);
    if (way !== undefined) console.log(`    ${way}`);
    console.log(`    registered ${ago(registered, now)} ago, for another ${left} s`);
  }
  for (const line of refusalLines(answer.refused, now)) console.log(line);
}
