/** `postern check`: what this network does to a call, asked of STUN and TURN servers. */
import { type Command, InvalidArgumentError } from "commander";
import { parseDuration } from "../server/config/kinds.ts";
import type { AskedFlags } from "./check/asked.ts";
import type { Interruption } from "./check/interruption.ts";
import type { Asked } from "./check/login.ts";
import type { Servers } from "./check/measure.ts";
import type { Measurements, Verdict } from "./check/verdict.ts";

interface CheckFlags extends AskedFlags {
  readonly json?: boolean;
  readonly lifetime?: boolean;
  /** False: `--no-proxy`. */
  readonly proxy?: string | false;
  /** Seconds. */
  readonly duration: number;
  readonly watch?: boolean;
  readonly every: number;
  /** The other machine's code; true: this machine is the first. */
  readonly peer?: string | true;
  readonly paste?: boolean;
}

/** What a script tells from a mistake of the caller's, which is 1. */
const CALLS_FAIL = 2;

const help = `
Exit status: 0 calls will work, 2 they will not or only some, 1 the command is wrong or two machines did not meet.

Examples:
  postern check stun:stun.example.org
  postern check turn:turn.example.org turns:turn.example.org:443 --user alice
  postern credentials --json | postern check --ice-servers -
  postern check turn:turn.example.org --user alice --watch
  postern check turn:turn.example.org --user alice --peer     then what it says, on the other machine`;

export function addCheckCommand(program: Command): void {
  program
    .command("check")
    .description("find out what this network does to a call, and say what to change")
    .argument("[URI...]", "STUN and TURN servers to ask: stun:HOST, turn:HOST, turns:HOST:443")
    .option(
      "--user <NAME>",
      "try the TURN servers with this user; the password is asked for, or in POSTERN_CHECK_PASSWORD",
    )
    .option("--password-file <FILE>", "read the password from a file; - is standard input")
    .option("--ice-servers <FILE>", "take servers and credentials from an iceServers block; - is standard input")
    .option("--proxy <URL>", "try TURN through this HTTP proxy too; else the one in https_proxy")
    .option("--no-proxy", "try no proxy, whatever the environment says")
    .option("--duration <DURATION>", "how long to speak through each relay, or to the other machine", seconds, 5)
    .option("--lifetime", "find out how long an idle NAT binding lives too, which takes minutes")
    .option("--watch", "go on, one line each round, until Ctrl-C; then say what failed when")
    .option("--every <DURATION>", "how long a round of --watch is", seconds, 10)
    .option("--peer [CODE]", "run a session with another machine: without CODE the first one, which gives the code")
    .option("--paste", "with --peer: exchange lines by copy and paste instead, without a relay in between")
    .option("--json", "print JSON; with --watch an object each round, one a line")
    .addHelpText("after", help)
    .action(check);
}

/** Seconds; beyond a day nobody waits, nor a timer. */
const LONGEST = 86_400;

function seconds(text: string): number {
  const found = parseDuration(text);
  if (found === undefined || found === 0 || found > LONGEST) {
    throw new InvalidArgumentError("Give a time such as 5s or 1m, and no more than 24h.");
  }
  return found;
}

/** One line that is written over; nothing where there is no terminal. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text.slice(0, (process.stderr.columns || 80) - 1)}`);
}

async function check(uris: readonly string[], given: CheckFlags): Promise<void> {
  const flags = withoutUri(given);
  const named = given === flags ? uris : [...uris, given.peer as string];
  const [{ readAsked }, { Interruption }] = await Promise.all([
    import("./check/asked.ts"),
    import("./check/interruption.ts"),
  ]);
  // Two machines of one network need no server to find each other.
  const isAlone =
    (flags.peer !== undefined || flags.paste === true) && named.length === 0 && flags.iceServers === undefined;
  const asked = isAlone ? [] : await readAsked(named, flags);
  using interruption = new Interruption();
  try {
    progress("looking the servers up …");
    const { findServers } = await import("./check/servers.ts");
    const servers = await findServers(asked, flags.proxy, interruption.signal);
    progress("");
    if (flags.peer !== undefined || flags.paste === true) await meetPeer(servers, asked, flags, interruption);
    else if (flags.watch === true) await watchServers(servers, flags, interruption);
    else await measureOnce(servers, flags, interruption.signal);
  } catch (error) {
    progress("");
    if (!interruption.signal.aborted) throw error;
    process.exitCode = interruption.exitCode;
  }
}

/** `--peer stun:…` is no code: the URI that follows is a server's. */
function withoutUri(flags: CheckFlags): CheckFlags {
  return typeof flags.peer === "string" && /^(stun|turn)s?:/i.test(flags.peer) ? { ...flags, peer: true } : flags;
}

async function meetPeer(
  { targets }: Servers,
  asked: readonly Asked[],
  flags: CheckFlags,
  { signal }: Interruption,
): Promise<void> {
  const { checkPeer } = await import("./check/peer/peer.ts");
  const proxy = typeof flags.proxy === "string" ? flags.proxy : undefined;
  const peerFlags = { ...flags, peer: flags.peer ?? true };
  const isGood = await checkPeer({ asked, targets, flags: peerFlags, proxy, signal, progress });
  process.exitCode = isGood ? 0 : CALLS_FAIL;
}

async function measureOnce(servers: Servers, flags: CheckFlags, signal: AbortSignal): Promise<void> {
  const [{ measure }, { judge }] = await Promise.all([import("./check/measure.ts"), import("./check/verdict.ts")]);
  const { lifetime = false, duration } = flags;
  const measured = await measure(servers, { lifetime, seconds: duration, signal, progress });
  progress("");
  const verdict = judge(measured);
  await print(measured, verdict, flags.json === true);
  const isRelayUseless = verdict.relay === "refuses" || verdict.relay === "broken";
  process.exitCode = verdict.calls === "no" || isRelayUseless ? CALLS_FAIL : 0;
}

async function print(measured: Measurements, verdict: Verdict, json: boolean): Promise<void> {
  const [words, { describeFamilies }, relayWords] = await Promise.all([
    import("./check/words.ts"),
    import("./check/families.ts"),
    import("./check/relay-words.ts"),
  ]);
  if (json) {
    const { udp: _, ...rest } = measured;
    console.log(JSON.stringify({ ...rest, verdict }, words.plainValues, 2));
    return;
  }
  const { reports, pings, streams, relays } = measured;
  const reached = [...pings.map(relayWords.describePing), ...streams.map(words.describeStream)];
  const parts = [
    ...reports.map(words.describeReport),
    describeFamilies(measured),
    reached,
    ...relays.map((trial) => relayWords.describeRelay(trial, relayWords.bindingRoundTrip(measured, trial))),
    words.describeVerdict(verdict),
  ];
  const filled = parts.filter((lines) => lines.length > 0);
  console.log(filled.map((lines) => lines.join("\n")).join("\n\n"));
}

async function watchServers(servers: Servers, flags: CheckFlags, interruption: Interruption): Promise<void> {
  const { watch } = await import("./check/watch.ts");
  const isWhole = await watch(servers, { every: flags.every, json: flags.json === true, signal: interruption.signal });
  process.exitCode = isWhole ? 0 : CALLS_FAIL;
}
