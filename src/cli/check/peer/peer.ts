/** `postern check --peer`: a real session between two machines, and what became of it. */
import { PosternError } from "../../../core/base/failure.ts";
import type { IceRole } from "../../../core/ice/config.ts";
import type { Reason } from "../../../core/ice/reasons.ts";
import { IceConnection } from "../../../node/ice/ice-connection.ts";
import type { AskedFlags } from "../asked.ts";
import type { Asked } from "../login.ts";
import type { Target } from "../targets.ts";
import {
  type Introduction,
  type IntroductionOptions,
  introduceByPasting,
  joinByCode,
  readCode,
  waitWithCode,
} from "./introduction.ts";
import { findNat } from "./nat.ts";
import type { Outcome } from "./outcome.ts";
import { Session } from "./session.ts";
import { iceServersOf, turnLogins } from "./ways-to-servers.ts";
import { describeOutcome, outcomeAsJson } from "./words.ts";

export interface PeerFlags extends AskedFlags {
  /** The other machine's code; true: this machine is the first. */
  readonly peer: string | true;
  readonly paste?: boolean;
  readonly json?: boolean;
  /** Seconds. */
  readonly duration: number;
}

export interface PeerCheckOptions {
  readonly asked: readonly Asked[];
  readonly targets: readonly Target[];
  readonly flags: PeerFlags;
  /** Named with `--proxy`. */
  readonly proxy: string | undefined;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
}

/** Milliseconds that a code, or a line, is good for. */
const lifetimeMs = 600_000;

/** Prints the outcome. Resolves with whether calls will work. */
export async function checkPeer(options: PeerCheckOptions): Promise<boolean> {
  const { asked, flags, signal, progress } = options;
  // For programs standard output is one object; what the user must see while it runs is not in it.
  const print = flags.json === true ? console.error : console.log;
  const say = (text: string): void => {
    progress("");
    print(text);
  };
  const way = wayOf(asked, flags);
  if (way === "paste") refuseInput(flags);
  const ended = new AbortController();
  const nat = findNat(options.targets, AbortSignal.any([signal, ended.signal]));
  await using introduction = await introduce(way, { ...options, say });
  await using connection = await openConnection(options, way);
  const own = await connection.localDescription({ signal });
  const peer = await introduction.exchange(own);
  const onLikelyCause = ({ why, help = "" }: Reason): void => say(`No path yet. Probably: ${why} ${help}`);
  const session = { own, peer, seconds: flags.duration, nat, signal, progress, onLikelyCause };
  const outcome = await new Session(connection, session).run();
  ended.abort();
  progress("");
  console.log(flags.json === true ? outcomeAsJson(outcome) : describeOutcome(outcome));
  return works(outcome);
}

const noCode =
  "There is no code without a TURN server and credentials (--user NAME, or --ice-servers FILE): the two exchange lines instead.\n";

type Way = "code" | "paste" | { readonly join: ReturnType<typeof readCode> };

/** Throws `PosternError` `bad-code`. */
function wayOf(asked: readonly Asked[], { peer, paste }: PeerFlags): Way {
  if (peer !== true) return { join: readCode(peer) };
  return paste === true || turnLogins(asked).length === 0 ? "paste" : "code";
}

function refuseInput({ passwordFile, iceServers }: PeerFlags): void {
  if (passwordFile !== "-" && iceServers !== "-") return;
  throw new PosternError("unreadable", "Standard input is for the other machine's line: give a file instead of -.");
}

function introduce(
  way: Way,
  options: PeerCheckOptions & Pick<IntroductionOptions, "say">,
): Promise<Introduction> | Introduction {
  const { asked, flags } = options;
  const introduction = { ...options, lifetime: lifetimeMs };
  if (way === "paste") {
    if (flags.paste !== true) options.say(noCode);
    return introduceByPasting(introduction);
  }
  const logins = turnLogins(asked);
  if (way === "code") return waitWithCode(logins, commandFor(asked, flags), introduction);
  return joinByCode(logins, way.join, introduction);
}

/** What to type on the other machine. */
function commandFor(asked: readonly Asked[], { user, iceServers, proxy }: PeerFlags & { proxy?: unknown }): string {
  const uris = iceServers === undefined ? asked.map(({ uri }) => uri) : [];
  const rest = [
    ...(iceServers === undefined ? [] : ["--ice-servers", iceServers]),
    ...(user === undefined ? [] : ["--user", user]),
    ...(typeof proxy === "string" ? ["--proxy", proxy] : []),
  ];
  return ["postern check", ...uris, ...rest, "--peer"].join(" ");
}

function openConnection({ asked, proxy, signal }: PeerCheckOptions, way: Way): Promise<IceConnection> {
  // RFC 8445 §6.1.1: who offers is controlling. Of two that paste neither is the first.
  const role: IceRole = typeof way === "object" ? "controlled" : "controlling";
  return IceConnection.open({ iceServers: iceServersOf(asked), role, signal, ...(proxy !== undefined && { proxy }) });
}

function works({ outcome, quality }: Outcome): boolean {
  return outcome !== "failed" && quality !== undefined && quality.level !== "unusable";
}
