/** A real ICE session with the other machine, from both descriptions to the outcome. */
import { hash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { PosternError } from "../../../core/base/failure.ts";
import type { IceEvent } from "../../../core/ice/outputs.ts";
import { type ChoiceCode, cause, type Reason } from "../../../core/ice/reasons.ts";
import type { BehaviorReport } from "../../../core/stun/behavior/report.ts";
import { monotonicNow } from "../../../node/clock.ts";
import type { IceConnection } from "../../../node/ice/ice-connection.ts";
import { Seal } from "../../../node/rendezvous/seal.ts";
import { SealedExchange } from "../../../node/rendezvous/sealed-exchange.ts";
import { adviseOnFailed, adviseOnRelayed } from "./advice.ts";
import { ownEnd, peerEnd } from "./end.ts";
import { figuresOf, type Outcome, qualityOf } from "./outcome.ts";
import { Speech } from "./speech.ts";
import { decidedBecause, formatSummary, parseSummary, type Summary } from "./summary.ts";

export interface SessionOptions {
  readonly own: string;
  readonly peer: string;
  /** Of speech. */
  readonly seconds: number;
  /** What is known of this machine's NAT; it is waited for a while. */
  readonly nat: Promise<BehaviorReport | undefined>;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
  /** The likely cause, when there is no path yet. */
  readonly onLikelyCause: (reason: Reason) => void;
}

/** The other end's summary comes within this, or not at all. */
const summaryMs = 10_000;
/** What the other end has not confirmed by then it has hardly missed. */
const doneMs = 1_000;
/** Where all is known but the NAT. */
const natMs = 10_000;

export class Session {
  readonly #connection: IceConnection;
  readonly #options: SessionOptions;
  #reason: Reason = cause("still-checking");
  #choice: ChoiceCode | undefined;
  #began = 0;

  constructor(connection: IceConnection, options: SessionOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** Rejects with `PosternError` `bad-ice-description`, or with the signal's reason. */
  async run(): Promise<Outcome> {
    const { own, peer, signal, seconds, progress } = this.#options;
    const connection = this.#connection;
    connection.onEvent = (event) => this.#follow(event);
    const speech = new Speech({ own, peer, send: (data) => connection.send(data) });
    const secret = hash("sha256", [own, peer].sort().join(), "buffer");
    const seal = new Seal(secret, own < peer ? "first" : "second");
    let exchange: SealedExchange | undefined;
    connection.onData = (data) => {
      if (!speech.handleData(data)) exchange?.handleDatagram(data);
    };
    progress("looking for a path …");
    this.#began = monotonicNow();
    connection.setRemoteDescription(peer);
    if (!(await this.#connects())) return this.#failed();
    const took = monotonicNow() - this.#began;
    progress("connected: speaking …");
    const echo = await speech.speak(seconds, signal, (second) => progress(`speaking, ${second} of ${seconds} s …`));
    progress("asking what the other machine has heard …");
    const nat = await this.#nat();
    const [path, report, heardHere] = [connection.path(), connection.report, speech.take()];
    if (path === undefined) return this.#failed();
    const end = ownEnd(path, report, nat);
    exchange = new SealedExchange(formatSummary({ end, heard: heardHere, choice: this.#choice }), seal, (_to, data) =>
      connection.send(data),
    );
    const theirs = await this.#exchange(exchange);
    const figures = figuresOf(echo, heardHere, theirs?.heard);
    const ends = { own: end, peer: theirs?.end ?? peerEnd(path, report) };
    return {
      outcome: path.kind,
      reason: decidedBecause(this.#reason, theirs),
      ...ends,
      took,
      speech: figures,
      quality: qualityOf(figures),
      advice: path.kind === "direct" ? [] : adviseOnRelayed(ends),
      report,
    };
  }

  /** Whether there is a path. Rejects with the signal's reason. */
  async #connects(): Promise<boolean> {
    const { signal } = this.#options;
    return this.#connection.connected({ signal }).then(
      () => true,
      (error: unknown) => {
        signal.throwIfAborted();
        if (!(error instanceof PosternError) || this.#connection.state !== "failed") throw error;
        return false;
      },
    );
  }

  #follow(event: IceEvent): void {
    if (event.type === "likely-cause") this.#options.onLikelyCause(event.reason);
    if (event.type === "selected") this.#choice = event.reason.code as ChoiceCode;
    if (event.type === "selected" || event.type === "failed") this.#reason = event.reason;
  }

  /** What is known of the NAT when nothing else is left to wait for. */
  async #nat(): Promise<BehaviorReport | undefined> {
    const { nat, signal } = this.#options;
    const found = await Promise.race([nat, pause(natMs, undefined, { signal, ref: false })]);
    return found ?? undefined;
  }

  async #exchange(exchange: SealedExchange): Promise<Summary | undefined> {
    const { signal } = this.#options;
    exchange.open();
    try {
      const late = pause(summaryMs, undefined, { signal, ref: false });
      const text = await Promise.race([exchange.text.catch(() => undefined), late]);
      await Promise.race([exchange.done, pause(doneMs, undefined, { signal, ref: false })]);
      return text === undefined ? undefined : parseSummary(text as string);
    } finally {
      exchange.stop();
    }
  }

  async #failed(): Promise<Outcome> {
    const { report } = this.#connection;
    const took = monotonicNow() - this.#began;
    const ends = { own: ownEnd(undefined, report, await this.#nat()), peer: peerEnd(undefined, report) };
    const advice = adviseOnFailed(ends, report, this.#reason);
    return {
      ...{ outcome: "failed", reason: this.#reason, ...ends, took, speech: undefined, quality: undefined },
      ...{ advice, report },
    };
  }
}
