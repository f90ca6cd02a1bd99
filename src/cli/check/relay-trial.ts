/** A TURN server tried with credentials: two allocations, and a voice call's packets from one to the other and back. */
import { isIP } from "node:net";
import { type Address, formatIp } from "../../core/base/address.ts";
import type { EchoFigures, ProbeSchedule } from "../../core/media/probe-stream.ts";
import { VOICE_PACKET_INTERVAL } from "../../core/media/voice-packet.ts";
import { wallClock } from "../../node/clock.ts";
import { measureEcho } from "../../node/probe-run.ts";
import { type PairFailure, RelayPair, type RelayPairOptions } from "../../node/relay-pair.ts";
import { expiredAt, type Login } from "./login.ts";
import { type Target, turnUriOf } from "./targets.ts";

export type RelayTrial = { readonly target: Target } & (
  | {
      /** Packets were sent, and some may have come back. */
      readonly state: "echoed";
      readonly relayed: Readonly<Address>;
      /** Which answered: another one than was asked, where that sends its clients on. */
      readonly server: Readonly<Address>;
      readonly figures: EchoFigures;
    }
  /** `allocated`: it lets us in, but does not relay from one of its clients to another. */
  | { readonly state: "allocated" | "refused" | "unreached"; readonly failure: PairFailure; readonly expired?: Date }
);

export type FailedTrial = Extract<RelayTrial, { readonly failure: unknown }>;

const openMs = 8_000;
/** What comes later is of no use to a call. */
const patienceMs = 1_000;

/** Nobody was there to refuse. */
const unreached: readonly string[] = [
  "timed-out",
  "connect-failed",
  "connect-timed-out",
  "connection-lost",
  "no-server",
  "not-turn",
];

export function pairOptions(target: Target, login: Login, proxy: string | undefined): RelayPairOptions {
  const { host, address, throughProxy } = target;
  const at = throughProxy ? target : { ...target, host: formatIp(address) };
  return {
    url: turnUriOf(at),
    username: login.username,
    credential: login.password.reveal(),
    patience: openMs,
    // Whether browsers accept the certificate is told apart: the relay behind it is tried all the same.
    tls: { rejectUnauthorized: false, ...(isIP(host) === 0 ? { servername: host } : {}) },
    ...(throughProxy && proxy !== undefined ? { proxy } : {}),
  };
}

export interface TrialOptions {
  readonly proxy: string | undefined;
  /** Seconds of speech. */
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly onSecond?: (second: number) => void;
}

export async function tryRelay(target: Target, login: Login, options: TrialOptions): Promise<RelayTrial> {
  const { proxy, seconds, signal, onSecond } = options;
  const pair = await RelayPair.open({ ...pairOptions(target, login, proxy), signal });
  if (!(pair instanceof RelayPair)) return failedTrial(target, login, pair);
  try {
    let count = 0;
    const packets = Math.max(1, Math.round((seconds * 1000) / VOICE_PACKET_INTERVAL));
    const schedule: ProbeSchedule = { packets, interval: VOICE_PACKET_INTERVAL, patience: patienceMs };
    const onSettled = (): void => {
      if (++count % 50 === 0) onSecond?.(count / 50);
    };
    const figures = await measureEcho(pair, schedule, { signal, onSettled });
    const { relayed, server } = pair.allocated;
    return { target, state: "echoed", relayed: relayed[0] as Address, server, figures };
  } finally {
    await pair.close();
  }
}

export function failedTrial(target: Target, login: Login, failure: PairFailure): FailedTrial {
  if (failure.stage === "bind") return { target, state: "allocated", failure };
  if (unreached.includes(failure.reason)) return { target, state: "unreached", failure };
  const expired = failure.reason === "unauthenticated" ? expiredAt(login, wallClock.now()) : undefined;
  return { target, state: "refused", failure, ...(expired && { expired }) };
}
