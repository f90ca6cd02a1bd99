/** Who was refused lately, in the words of `postern registrations`. */
import type { EdgeRefusal } from "../core/edge/outputs.ts";
import type { ShownRefusal } from "../server/services/sip/shown.ts";
import { ago } from "./sip-words.ts";

/** Lines that a person reads. */
const MOST = 20;

const WORDS: Readonly<Record<EdgeRefusal, string>> = {
  malformed: "not SIP as it should be",
  stranger: "not let in",
  scanner: "scanner",
  "wrong-password": "wrong password",
  banned: "too many wrong passwords, none is looked at for a while",
  foreign: "for another server, or with a route that is not ours",
  "over-budget": "too many requests from there",
  "trunk-budget": "too many requests from this trunk",
  busy: "the server has no room for requests",
  calls: "the server has no room for calls",
  "user-calls": "too many calls of this user",
  "source-calls": "too many calls from there",
  "connection-calls": "too many calls on one connection",
  "trunk-calls": "too many calls through this trunk",
  "user-transactions": "too many requests of this user",
  "source-transactions": "too many requests from there",
  "connection-transactions": "too many requests on one connection",
  "trunk-transactions": "too many requests from this trunk",
};

/** The latest first; nothing where nobody was. */
export function refusalLines(refusals: readonly ShownRefusal[], now: number): string[] {
  if (refusals.length === 0) return [];
  const lines = refusals.slice(0, MOST).map((refusal) => `    ${refusalWords(refusal, now)}`);
  const left = refusals.length - lines.length;
  return ["refused lately:", ...lines, ...(left > 0 ? [`    and ${left} more`] : [])];
}

function refusalWords({ why, name, remote, count, last }: ShownRefusal, now: number): string {
  // A port says nothing: strangers change it, and NATs do.
  const ip = remote.slice(0, remote.lastIndexOf(":"));
  const times = count === 1 ? "once" : `${count} times`;
  const since = ago(last, now).replace(/ min \d+ s$/, " min");
  return [ip, ...(name === null ? [] : [printable(name)]), WORDS[why], times, `${since} ago`].join(" · ");
}

/** Anybody may write anything there, escapes of terminals too. */
function printable(name: string): string {
  return name.replace(/[^ -~]/g, "?");
}
