/** Streams of probes on the host's clock, over whatever carries them. */
import type { Instant } from "../core/base/machine.ts";
import { type EchoFigures, type ProbeOutput, type ProbeSchedule, ProbeStream } from "../core/media/probe-stream.ts";
import { Driver } from "./driver.ts";

/** Sends probes, and says what came back. */
export interface ProbePath {
  send(sequence: number): unknown;
  onTurned?: (sequence: number) => void;
  onBack: (sequence: number) => void;
}

export interface ProbeRunOptions {
  readonly signal?: AbortSignal;
  /** Hears of each probe, in the order of sending. */
  readonly onSettled?: (sentAt: Instant, roundTrip: number | undefined) => void;
  /** Hears at once that something is back. */
  readonly onBack?: () => void;
}

export class ProbeRun {
  /** Resolves when the schedule has come to its end, or the run was stopped; rejects when the stream is broken. */
  readonly ended: Promise<void>;
  readonly #driver: Driver<ProbeStream, ProbeOutput>;
  readonly #end: () => void;
  readonly #onBack: (() => void) | undefined;
  #path: ProbePath | undefined;

  constructor(schedule: ProbeSchedule, { onSettled, onBack }: ProbeRunOptions = {}) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
    this.#onBack = onBack;
    this.#driver = new Driver(new ProbeStream(schedule), {
      perform: (output) => {
        if (output.kind === "send") this.#path?.send(output.sequence);
        else if (output.kind === "settled") onSettled?.(output.sentAt, output.roundTrip);
        else this.#end();
      },
      handleFailure: reject,
    });
  }

  /** What carries the probes from now on; undefined: nothing does, and they are lost. */
  follow(path: ProbePath | undefined): void {
    this.#path = path;
    if (path === undefined) return;
    path.onTurned = (sequence) => this.#driver.input((stream, now) => stream.handleTurned(sequence, now));
    path.onBack = (sequence) => {
      this.#onBack?.();
      this.#driver.input((stream, now) => stream.handleBack(sequence, now));
    };
  }

  start(): void {
    this.#driver.input((stream, now) => stream.start(now));
  }

  /** What was settled since the last call. */
  take(): EchoFigures {
    let figures: EchoFigures | undefined;
    this.#driver.input((stream) => {
      figures = stream.take();
    });
    return figures as EchoFigures;
  }

  stop(): void {
    this.#driver.stop();
    this.#end();
  }
}

/** One run to its end. Rejects with the signal's reason. */
export async function measureEcho(
  path: ProbePath,
  schedule: ProbeSchedule,
  { signal, ...options }: ProbeRunOptions = {},
): Promise<EchoFigures> {
  signal?.throwIfAborted();
  const run = new ProbeRun(schedule, options);
  const stop = (): void => run.stop();
  signal?.addEventListener("abort", stop);
  try {
    run.follow(path);
    run.start();
    await run.ended;
    signal?.throwIfAborted();
    return run.take();
  } finally {
    signal?.removeEventListener("abort", stop);
    run.stop();
  }
}
