/** A real ICE session with the other machine, from both descriptions to the outcome. */
import { setTimeout as pause } from "node:timers/promises";
import { PosternError } from "../../../core/base/failure.ts";
import type { IceEvent } from "../../../core/ice/outputs.ts";
import { type ChoiceCode, cause, type Reason } from "../../../core/ice/reasons.ts";
import type { BehaviorReport } from "../../../core/stun/behavior/report.ts";
import { monotonicNow } from "../../../node/clock.ts";
import type { IceConnection } from "../../../node/ice/ice-connection.ts";
import { adviseOnFailed, adviseOnRelayed } from "./advice.ts";
import { ownEnd, peerEnd } from "./end.ts";
import { figuresOf, type Outcome, qualityOf } from "./outcome.ts";
import { decidedBecause } from "./summary.ts";
import { Talk } from "./talk.ts";

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

/** Where all is known but the NAT. */
const natMs = 10_000;

export class Session {
  readonly #connection: IceConnection;
  readonly #options: SessionOptions;
  #reason: Reason = cause("still-checking");
  #choice: ChoiceCode | undefined;
  #began = 0;
  /** The path that there was, or that there should be. */
  readonly #lost: PromiseWithResolvers<false> = Promise.withResolvers();

  constructor(connection: IceConnection, options: SessionOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** Rejects with `PosternError` `bad-ice-description`, or with the signal's reason. */
  async run(): Promise<Outcome> {
    const { peer, signal, seconds, progress } = this.#options;
    const connection = this.#connection;
    connection.onEvent = (event) => this.#follow(event);
    using talk = new Talk(connection, this.#options);
    progress("looking for a path …");
    this.#began = monotonicNow();
    connection.setRemoteDescription(peer);
    if (!(await this.#connects())) return this.#failed();
    const took = monotonicNow() - this.#began;
    progress("connected: waiting for the other machine …");
    if (!(await this.#greets(talk))) return this.#failed();
    const echo = await talk.speech.speak(seconds, signal, (second) =>
      progress(`speaking, ${second} of ${seconds} s …`),
    );
    progress("asking what the other machine has heard …");
    const nat = await this.#nat();
    const [path, report, heardHere] = [connection.path(), connection.report, talk.speech.take()];
    if (path === undefined) return this.#failed();
    const end = ownEnd(path, report, nat);
    const theirs = await talk.summarize({ end, heard: heardHere, choice: this.#choice });
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

  /** Whether the other machine is there, too. Where it pasted later it may be minutes until then. */
  async #greets(talk: Talk): Promise<boolean> {
    const { signal } = this.#options;
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort);
    try {
      return await Promise.race([talk.greet().then(() => true), this.#lost.promise, aborted.promise]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  #follow(event: IceEvent): void {
    if (event.type === "failed") this.#lost.resolve(false);
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
