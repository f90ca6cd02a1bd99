/** `postern registrations`: which phones are there, where they really are, and whether calls reach them. */
import type { Command } from "commander";
import type { ShownRefusal, ShownRegistration } from "../server/services/sip/shown.ts";
import { askDaemon, DAEMON_OPTIONS } from "./ask-daemon.ts";
import { addConfigFlags, type ConfigFlags } from "./config-flags.ts";
import { printable } from "./printable.ts";
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
  const lines = [...phones.flatMap((phone) => phoneLines(phone, now)), ...refusalLines(answer.refused, now)];
  for (const line of lines) console.log(line);
}

export function phoneLines(phone: ShownRegistration, now: number): string[] {
  const { user, transport, remote, contact, userAgent, registered, expires } = phone;
  const left = Math.max(0, Math.round((Date.parse(expires) - now) / 1000));
  const way = wayWords(phone);
  return [
    `${user}   ${transport} ${remote}   ${phoneWords(phone, now)}`,
    `    says it is ${contact}${userAgent === null ? "" : `, ${userAgent}`}`,
    ...(way === undefined ? [] : [`    ${way}`]),
    `    registered ${ago(registered, now)} ago, for another ${left} s`,
  ].map(printable);
}
