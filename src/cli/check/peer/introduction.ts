/** How the two machines come to know each other's description: through a TURN server by a code, or by pasted lines. */
import { formatIp } from "../../../core/base/address.ts";
import { PosternError } from "../../../core/base/failure.ts";
import { parseCode, type RendezvousCode } from "../../../core/rendezvous/code.ts";
import { Meeting } from "../../../node/rendezvous/meeting.ts";
import { formatLine } from "./line.ts";
import { Pasting } from "./pasting.ts";
import type { TurnLogin } from "./ways-to-servers.ts";

export interface Introduction extends AsyncDisposable {
  /** Tells the other machine of `own`, and resolves with its description. */
  exchange(own: string): Promise<string>;
}

export interface IntroductionOptions {
  readonly signal: AbortSignal;
  /** Milliseconds that a code or a line is good for. */
  readonly lifetime: number;
  /** What the user must see, on a line of its own. */
  readonly say: (text: string) => void;
  readonly progress: (text: string) => void;
}

/** As long as an answer may take when the other machine waits. */
const patience = 15_000;

/** Where UDP is blocked, and there is a way over TCP, that is not waited for much longer. */
const nextWayMs = 3_000;

/** Throws `PosternError` `bad-code`. */
export function readCode(text: string): RendezvousCode {
  const code = parseCode(text);
  if (code !== undefined) return code;
  throw new PosternError(
    "bad-code",
    `"${text}" is no code: it is mistyped, or a part is missing. Compare it with the other machine's screen.`,
  );
}

/** Waits at a relayed address, and tells the user the code. `command`: what to type on the other machine, without the code. */
export async function waitWithCode(
  logins: readonly TurnLogin[],
  command: string,
  options: IntroductionOptions,
): Promise<Introduction> {
  const { signal, lifetime, say, progress } = options;
  const meeting = await openMeeting(logins, undefined, options);
  const end = AbortSignal.any([signal, AbortSignal.timeout(lifetime)]);
  say(`Code: ${meeting.code}\n\nOn the other machine, within ${minutes(lifetime)}:\n  ${command} ${meeting.code}\n`);
  progress("waiting for the other machine …");
  return {
    exchange: async (own) => {
      const text = await meeting.exchange(own, end).catch((error: unknown) => {
        throw isTimeout(error) ? nobodyCame(lifetime) : error;
      });
      await meeting.settle(AbortSignal.any([signal, AbortSignal.timeout(patience)]));
      return text;
    },
    [Symbol.asyncDispose]: () => meeting.close(),
  };
}

export async function joinByCode(
  logins: readonly TurnLogin[],
  code: RendezvousCode,
  options: IntroductionOptions,
): Promise<Introduction> {
  const { signal, lifetime, progress } = options;
  const meeting = await openMeeting(logins, code, options);
  progress("asking the machine that waits …");
  return {
    exchange: async (own) => {
      const end = AbortSignal.any([signal, AbortSignal.timeout(patience)]);
      const text = await meeting.exchange(own, end).catch((error: unknown) => {
        throw isTimeout(error) ? nobodyWaits(lifetime) : error;
      });
      await meeting.settle(AbortSignal.any([signal, AbortSignal.timeout(patience)]));
      return text;
    },
    [Symbol.asyncDispose]: () => meeting.close(),
  };
}

/** The first way to a server that gives a relayed address, or that one at which the code's machine waits. */
async function openMeeting(
  logins: readonly TurnLogin[],
  code: RendezvousCode | undefined,
  { signal, progress }: IntroductionOptions,
): Promise<Meeting> {
  let failure: unknown;
  for (const [i, login] of logins.entries()) {
    progress(`asking ${login.url} for a relayed address …`);
    const late = i < logins.length - 1 ? [AbortSignal.timeout(nextWayMs)] : [];
    try {
      return await Meeting.open({ ...login, signal: AbortSignal.any([signal, ...late]) }, code);
    } catch (error) {
      signal.throwIfAborted();
      if (!isTelling(failure)) failure = error;
    }
  }
  throw failure ?? noRelay(code);
}

const unreached = ["timed-out", "connect-failed", "connection-lost", "no-server"];

/** The server itself has said it: another way to it says the same. */
function isTelling(error: unknown): boolean {
  return error instanceof PosternError && !unreached.includes(error.code);
}

function noRelay(code: RendezvousCode | undefined): PosternError {
  const where = code === undefined ? "" : ` The code names ${formatIp(code.address)}.`;
  return new PosternError(
    "no-relay-named",
    `A code goes through a TURN server: name the one that the other machine names, and --user NAME.${where}`,
  );
}

export function introduceByPasting(options: IntroductionOptions): Introduction {
  const { signal, lifetime, say, progress } = options;
  const pasting = new Pasting(process.stdin, say);
  return {
    exchange: async (own) => {
      const end = AbortSignal.any([signal, AbortSignal.timeout(lifetime)]);
      say(`This machine's line, for the other one, good for ${minutes(lifetime)}:\n\n${formatLine(own)}\n`);
      say("Paste the other machine's line here, and press Enter:");
      try {
        const text = await pasting.description(own, end);
        if (process.stdin.isTTY)
          say("That is it. When the other machine has this machine's line too, press Enter on both.");
        await pasting.enter(end);
        progress("");
        return text;
      } catch (error) {
        throw isTimeout(error) ? nobodyCame(lifetime) : error;
      }
    },
    [Symbol.asyncDispose]: async () => pasting[Symbol.dispose](),
  };
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}

function minutes(lifetime: number): string {
  return lifetime >= 60_000 ? `${Math.round(lifetime / 60_000)} minutes` : `${lifetime / 1_000} seconds`;
}

function nobodyCame(lifetime: number): PosternError {
  return new PosternError(
    "nobody-came",
    `Nobody came within ${minutes(lifetime)}. Begin again when both users are there.`,
  );
}

function nobodyWaits(lifetime: number): PosternError {
  return new PosternError(
    "nobody-waits",
    `Nobody answers to this code: it has expired (it is good for ${minutes(lifetime)}), or the machine that gave it has ended. Begin again there: each run gives a new code.`,
  );
}
