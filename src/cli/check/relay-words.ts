/** What was found at the relays, in plain words. */
import { formatAddress } from "../../core/base/address.ts";
import type { EchoFigures } from "../../core/media/probe-stream.ts";
import { judgeQuality, percent } from "./quality.ts";
import { adviceOn } from "./refusals.ts";
import type { RelayTrial } from "./relay-trial.ts";
import { serverOf, wayOf } from "./targets.ts";
import type { Measurements, PingResult } from "./verdict.ts";

export function milliseconds(ms: number): string {
  return ms < 10 ? ms.toFixed(1) : `${Math.round(ms)}`;
}

export function describePing({ target, figures }: PingResult): string {
  const { sent, lost, roundTrip } = figures;
  const at = `UDP to ${serverOf(target)}`;
  if (roundTrip === undefined) return `${at}: no answer`;
  const { median, jitter } = roundTrip;
  const missing = lost === 0 ? "none" : `${lost}`;
  return `${at}: answers in ${milliseconds(median)} ms, jitter ${milliseconds(jitter)} ms, ${missing} of ${sent} lost`;
}

/** The round trip of one Binding on the same way to the server. */
export function bindingRoundTrip(
  { pings, streams }: Pick<Measurements, "pings" | "streams">,
  trial: RelayTrial,
): number | undefined {
  const ping = pings.find(({ target }) => target === trial.target)?.figures.roundTrip?.median;
  return ping ?? streams.find(({ target }) => target === trial.target)?.reached?.roundTrip;
}

/** `binding`: the round trip to the server alone; undefined: it answers no Binding. */
export function describeRelay(trial: RelayTrial, binding: number | undefined): string[] {
  const title = `Relay over ${wayOf(trial.target)}, ${serverOf(trial.target)}`;
  const lines = trial.state === "echoed" ? describeEcho(trial, binding) : describeFailure(trial);
  return [title, ...lines.map(([name, words]) => `  ${name.padEnd(13)}${words}`)];
}

function describeFailure(trial: Exclude<RelayTrial, { state: "echoed" }>): [string, string][] {
  const { why } = adviceOn(trial);
  if (trial.state === "refused") return [["credentials", `refused: ${why}`]];
  if (trial.state === "unreached") return [["credentials", `not tried: ${why}`]];
  return [
    ["credentials", "accepted"],
    ["echo", `not measured: ${why}`],
  ];
}

function describeEcho(
  { relayed, server, target, figures }: Extract<RelayTrial, { state: "echoed" }>,
  binding: number | undefined,
): [string, string][] {
  const isSentOn = target.throughProxy !== true && formatAddress(server) !== serverOf(target);
  const sentOn = isSentOn ? `, by ${formatAddress(server)}, where this server sends its clients` : "";
  return [
    ["credentials", `accepted: relayed address ${formatAddress(relayed)}${sentOn}`],
    ["echo", `${figures.sent} packets like a voice call's, from here through the relay to here, and back the same way`],
    ...describeFigures(figures, binding),
  ];
}

function describeFigures(figures: EchoFigures, binding: number | undefined): [string, string][] {
  const { roundTrip, sent, lost, reordered, there, back } = figures;
  const quality = judgeQuality(figures);
  if (roundTrip === undefined || quality === undefined) return [["loss", `100 %: none of ${sent} came back`]];
  const { min, median, p95 } = roundTrip;
  const ways = lost === 0 ? "" : `, ${lost} of ${sent}: ${there.lost} there, ${back.lost} back`;
  return [
    ["round trip", `${milliseconds(min)} ms at best, ${milliseconds(median)} median, ${milliseconds(p95)} for 95 %`],
    ["one way", `${milliseconds(quality.delay)} ms${describeAdded(median, binding)}`],
    [
      "jitter",
      `${milliseconds(quality.jitter)} ms one way, at worst ${milliseconds(roundTrip.worstJitter)} ms there and back (RFC 3550)`,
    ],
    ["loss", `${percent(lost / sent)}${ways}; ${reordered === 0 ? "none" : reordered} out of order`],
  ];
}

/** Half of the echo is one round trip to the server, and what the relay takes. */
function describeAdded(median: number, binding: number | undefined): string {
  if (binding === undefined) return "";
  const added = median / 2 - binding;
  const words = added < 1 ? "less than 1 ms" : `${milliseconds(added)} ms`;
  return `; the server alone answers in ${milliseconds(binding)} ms, so the relay adds ${words}`;
}
