/** The outcome in plain words, and as JSON. */

import { percent } from "../quality.ts";
import { plainValues } from "../words.ts";
import type { Outcome, SpeechFigures } from "./outcome.ts";
import { drawPath } from "./picture.ts";

const headlines: Readonly<Record<Outcome["outcome"], string>> = {
  direct: "The two are connected directly.",
  relayed: "The two are connected through the relay.",
  failed: "The two cannot be connected.",
};

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

function line(name: string, words: string): string {
  return `  ${name.padEnd(13)}${words}`;
}

function describeSpeech({ sent, roundTrip, there, back, reordered, heardHere, heardThere }: SpeechFigures): string[] {
  const said = line("speech", `${sent} packets like a voice call's each way, and back again`);
  if (roundTrip === undefined) return [said, line("loss", "nothing came back")];
  const { min, median, p95 } = roundTrip;
  const arrived = Math.max(1, sent - there.lost);
  const ways = `${percent(there.lost / sent)} there, ${percent(back.lost / arrived)} back`;
  const order = reordered === 0 ? "none out of order" : `${reordered} out of order`;
  const far = heardThere === undefined ? "" : `${ms(heardThere.jitter)} there, `;
  return [
    said,
    line("round trip", `${ms(min)} at best, ${ms(median)} median, ${ms(p95)} for 95 %`),
    line("jitter", `${far}${ms(heardHere.jitter)} here`),
    line("loss", `${heardThere === undefined ? `${percent((there.lost + back.lost) / sent)}` : ways}; ${order}`),
  ];
}

function describeQuality({ quality, speech }: Outcome): string[] {
  if (speech === undefined) return [];
  if (quality === undefined) return ["Speech between the two did not come through."];
  const { level, delay, jitter, loss, notices } = quality;
  const figures = `${Math.round(delay)} ms one way, jitter ${Math.round(jitter)} ms, loss ${percent(loss)}`;
  return [`Speech between the two will be ${level === "good" ? "good" : "bad"}: ${figures}.`, ...notices];
}

export function describeOutcome(outcome: Outcome): string {
  const { reason, took, speech, advice } = outcome;
  const after = outcome.outcome === "failed" ? "given up" : "connected";
  const parts = [
    drawPath(outcome),
    [
      line("why", reason.why),
      line(after, `after ${(took / 1_000).toFixed(1)} s`),
      ...(speech === undefined ? [] : describeSpeech(speech)),
    ],
    [headlines[outcome.outcome], ...describeQuality(outcome), ...advice],
  ];
  return parts.map((lines) => lines.join("\n")).join("\n\n");
}

export function outcomeAsJson(outcome: Outcome): string {
  return JSON.stringify(outcome, plainValues, 2);
}
