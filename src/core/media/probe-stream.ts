/**
 * A stream of numbered probes that come back, sent as evenly as a voice call sends its packets, and what became of them:
 * how long they took, in which order they came, how many did not. It knows neither bytes nor path: `send` asks for probe
 * number so-and-so, and whoever carries it tells of its return, and where the far end turns it round, of that too.
 *
 * A probe that is not back in time is lost, as it is to a call. Probes are settled in the order in which they were sent.
 */
import { after, type Instant, type Machine } from "../base/machine.ts";
import { OutputQueue } from "../base/output-queue.ts";
import { type TransitFigures, TransitMeter } from "./transit-meter.ts";

export interface ProbeSchedule {
  /** How many; Infinity: until nobody asks any more. */
  readonly packets: number;
  /** Milliseconds from one to the next. */
  readonly interval: number;
  /** Milliseconds after which a probe is lost. */
  readonly patience: number;
}

/** One way of two. */
export interface PassFigures {
  readonly lost: number;
  readonly transit: TransitFigures | undefined;
}

export interface EchoFigures {
  /** Probes whose fate is known. */
  readonly sent: number;
  readonly lost: number;
  /** Those that came back behind a later one. */
  readonly reordered: number;
  readonly roundTrip: TransitFigures | undefined;
  /** To the far end and from it; without meaning where that does not tell. */
  readonly there: PassFigures;
  readonly back: PassFigures;
}

export type ProbeOutput =
  | { readonly kind: "send"; readonly sequence: number }
  /** `roundTrip`: milliseconds; undefined: it is lost. */
  | { readonly kind: "settled"; readonly sentAt: Instant; readonly roundTrip: number | undefined }
  /** All are settled. */
  | { readonly kind: "done" };

interface Probe {
  readonly sentAt: Instant;
  turnedAt: Instant | undefined;
  backAt: Instant | undefined;
}

export class ProbeStream implements Machine<ProbeOutput> {
  readonly #schedule: ProbeSchedule;
  readonly #outputs = new OutputQueue<ProbeOutput>();
  /** Oldest first; the first is not back yet. */
  readonly #pending: Map<number, Probe> = new Map();
  readonly #roundTrip = new TransitMeter();
  readonly #there = new TransitMeter();
  readonly #back = new TransitMeter();
  #next = 0;
  #nextAt: Instant | undefined;
  #highestBack = -1;
  #isDone = false;
  #counts = noCounts();

  constructor(schedule: ProbeSchedule) {
    this.#schedule = schedule;
  }

  start(now: Instant): void {
    this.#nextAt = now;
    this.handleTimeout(now);
  }

  /** The far end has it. */
  handleTurned(sequence: number, now: Instant): void {
    const probe = this.#pending.get(sequence);
    if (probe === undefined || probe.turnedAt !== undefined) return;
    probe.turnedAt = now;
    this.#there.add(now - probe.sentAt);
  }

  handleBack(sequence: number, now: Instant): void {
    const probe = this.#pending.get(sequence);
    if (probe === undefined || probe.backAt !== undefined) return;
    probe.backAt = now;
    this.#roundTrip.add(now - probe.sentAt);
    if (probe.turnedAt !== undefined) this.#back.add(now - probe.turnedAt);
    if (sequence < this.#highestBack) this.#counts.reordered++;
    else this.#highestBack = sequence;
    this.#settle(now);
  }

  /** The figures of all that was settled since the last call. */
  take(): EchoFigures {
    const { sent, turned, back, reordered } = this.#counts;
    this.#counts = noCounts();
    return {
      sent,
      lost: sent - back,
      reordered,
      roundTrip: this.#roundTrip.take(),
      there: { lost: sent - turned, transit: this.#there.take() },
      back: { lost: turned - back, transit: this.#back.take() },
    };
  }

  pollOutput(): ProbeOutput | undefined {
    return this.#outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    const [oldest] = this.#pending.values();
    const lostAt = oldest === undefined ? undefined : after(oldest.sentAt, this.#schedule.patience);
    if (this.#nextAt === undefined || lostAt === undefined) return this.#nextAt ?? lostAt;
    return Math.min(this.#nextAt, lostAt) as Instant;
  }

  handleTimeout(now: Instant): void {
    this.#settle(now);
    if (this.#nextAt === undefined || now < this.#nextAt) return;
    const sequence = this.#next++;
    this.#pending.set(sequence, { sentAt: now, turnedAt: undefined, backAt: undefined });
    this.#outputs.push({ kind: "send", sequence });
    const { packets, interval } = this.#schedule;
    // A process that was held up does not catch up with a burst: no call sends one.
    const due = Math.max(this.#nextAt + interval, now + interval / 2);
    this.#nextAt = this.#next < packets ? (due as Instant) : undefined;
  }

  #settle(now: Instant): void {
    for (const [sequence, probe] of this.#pending) {
      const { sentAt, turnedAt, backAt } = probe;
      if (backAt === undefined && now < after(sentAt, this.#schedule.patience)) return;
      this.#pending.delete(sequence);
      this.#counts.sent++;
      if (turnedAt !== undefined) this.#counts.turned++;
      if (backAt !== undefined) this.#counts.back++;
      this.#outputs.push({ kind: "settled", sentAt, roundTrip: backAt === undefined ? undefined : backAt - sentAt });
    }
    if (this.#isDone || this.#nextAt !== undefined || this.#next === 0) return;
    this.#isDone = true;
    this.#outputs.push({ kind: "done" });
  }
}

function noCounts() {
  return { sent: 0, turned: 0, back: 0, reordered: 0 };
}
