/**
 * One worker, as the main thread has it: started, spoken to, and started again when it ends. Whoever owns it says in
 * `begin` what a new one has to be told first; what is said while there is none is lost, and `begin` makes up for it.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { PosternError } from "../../core/base/failure.ts";
import { monotonicNow } from "../clock.ts";
import { createDescriptorRecord, noteGiven, openDescriptors } from "../sys/open-descriptors.ts";
import { closeDescriptor } from "../sys/udp-socket.ts";
import type { FromShard, PlainError, ShardData, ShardTask, TaskResult, ToShard } from "./messages.ts";
import { createPulse, PulseWatch } from "./pulse.ts";

/** How a worker is run; what is not given is as in the main thread. */
export interface WorkerSettings {
  /** Megabytes of memory for objects, beyond which the worker is ended. */
  readonly heapMegabytes?: number;
  /** Flags of Node's. */
  readonly execArgv?: readonly string[];
  /** How long it may be at work without coming to the end of a turn, before it is ended; 10 s when not given. */
  readonly longestTurnMs?: number;
  /** How long it is waited for after it was told to end; 5 s when not given. */
  readonly longestEndMs?: number;
}

export interface ShardOwner {
  /** With what the next worker begins; without what is this class's own. */
  data(): Omit<ShardData, "descriptors" | "pulse">;
  /** A new worker listens to messages. */
  begin(): void;
  handle(message: Exclude<FromShard, { type: "ready" | "done" }>): void;
  /** It is at work without end, and was ended; `handleLost` follows when it has. */
  handleHung(cause: PosternError): void;
  /** It was ended, and is there yet. */
  handleStuck(cause: PosternError): void;
  /** A worker has ended that was not told to. `restartMs`: when the next one is started. */
  handleLost(cause: Error, restartMs: number): void;
}

/** The first is started again at once; each one that does not live long doubles the wait. */
const firstWaitMs = 100;
const longestWaitMs = 30_000;
const longLifeMs = 60_000;

const longestTurnMs = 10_000;
const longestEndMs = 5_000;
/** In the time that a turn may last. */
const looks = 5;

/**
 * Little survives a packet. And what is young moves at once into a heap that has reached its limit: Node ends a worker
 * there with 16 MB to spare, and beyond those V8 ends the process.
 */
const youngMegabytes = 6;

/** How long the end waits for a worker that may not listen any more. */
const patienceMs = 500;

/** More than Linux lets a process have, unless somebody has raised fs.nr_open. */
const mostDescriptors = 1 << 20;

const program = new URL(`./shard-program${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);

export class Shard {
  readonly name: string;
  readonly #owner: ShardOwner;
  readonly #settings: WorkerSettings;
  readonly #descriptors: Int32Array<SharedArrayBuffer> = createDescriptorRecord(mostDescriptors);
  readonly #tasks: Map<number, PromiseWithResolvers<TaskResult>> = new Map();
  #worker: Worker | undefined;
  #cause: Error | undefined;
  #since = 0;
  #shortLives = 0;
  #failures = 0;
  #lastTask = 0;
  #timer: NodeJS.Timeout | undefined;
  #looking: NodeJS.Timeout | undefined;
  #isReady = false;
  #ending: Promise<void> | undefined;
  #isStuck = false;
  #isClosing = false;

  constructor(name: string, owner: ShardOwner, settings: WorkerSettings) {
    this.name = name;
    this.#owner = owner;
    this.#settings = settings;
    this.#start();
  }

  /** Whether a worker is there, and has come so far that it serves. */
  get isUp(): boolean {
    return this.#isReady;
  }

  /** Whether the worker that is there was ended, and has not ended in time. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  /** How often it has ended without being told to. */
  get failures(): number {
    return this.#failures;
  }

  #start(): void {
    const { heapMegabytes, execArgv } = this.#settings;
    const pulse = createPulse();
    const worker = new Worker(program, {
      name: this.name,
      workerData: { ...this.#owner.data(), descriptors: this.#descriptors, pulse } satisfies ShardData,
      resourceLimits: {
        maxYoungGenerationSizeMb: youngMegabytes,
        ...(heapMegabytes === undefined ? {} : { maxOldGenerationSizeMb: heapMegabytes }),
      },
      ...(execArgv === undefined ? {} : { execArgv: [...execArgv] }),
    });
    worker.on("message", (messages: readonly FromShard[]) => {
      for (const message of messages) this.#handle(message);
    });
    worker.on("error", (error: Error) => (this.#cause = error));
    worker.once("exit", (code) => this.#handleExit(code));
    this.#worker = worker;
    this.#since = monotonicNow();
    this.#watch(worker, new PulseWatch(pulse, looks));
    this.#owner.begin();
  }

  #watch(worker: Worker, pulse: PulseWatch): void {
    const longest = this.#settings.longestTurnMs ?? longestTurnMs;
    this.#looking = setInterval(() => {
      if (!pulse.look()) return;
      clearInterval(this.#looking);
      // Until it has ended, which it cannot inside a system call.
      this.#isReady = false;
      const cause = new PosternError(
        "shard-hung",
        `The worker ${this.name} was at work for more than ${longest / 1_000} s without end, and was ended.`,
      );
      this.#cause = cause;
      this.#owner.handleHung(cause);
      void this.#end(worker);
    }, longest / looks).unref();
  }

  /** Resolves when it has ended, or is not waited for any longer: `terminate` does not reach into a system call. */
  #end(worker: Worker): Promise<void> {
    this.#ending ??= this.#endInTime(worker);
    return this.#ending;
  }

  async #endInTime(worker: Worker): Promise<void> {
    const longest = this.#settings.longestEndMs ?? longestEndMs;
    const ended = worker.terminate().then(() => true);
    if (await Promise.race([ended, delay(longest, false, { ref: false })])) return;
    // `terminate` keeps the process for it.
    worker.unref();
    this.#isStuck = true;
    this.#owner.handleStuck(
      new PosternError(
        "shard-stuck",
        `The worker ${this.name} was told to end ${longest / 1_000} s ago and has not: it is inside a system call. Its clients are not served; restart the process.`,
      ),
    );
  }

  /** Lost where there is no worker now. */
  post(message: ToShard): void {
    this.#worker?.postMessage(message);
  }

  /** From now on this descriptor is closed when the worker ends. */
  give(descriptor: number): void {
    noteGiven(descriptor, this.#descriptors);
  }

  /** Rejects with the worker's `PosternError`, or with `shard-ended` when it has ended before it was done. */
  async run(what: ShardTask): Promise<TaskResult> {
    if (this.#worker === undefined) throw this.#ended();
    const task = ++this.#lastTask;
    const waiting = Promise.withResolvers<TaskResult>();
    this.#tasks.set(task, waiting);
    this.post({ type: "task", task, what });
    const result = await waiting.promise;
    if (result.error !== undefined) throw revived(result.error);
    return result;
  }

  /** Resolves when the worker has ended, of itself or not, and nothing of it is left, unless it `isStuck`. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#timer);
    const worker = this.#worker;
    if (worker === undefined) return;
    const closed = this.run({ type: "close" }).then(
      () => true,
      () => true,
    );
    await Promise.race([closed, delay(patienceMs, undefined, { ref: false })]);
    await this.#end(worker);
  }

  #handle(message: FromShard): void {
    if (message.type === "ready") this.#isReady = true;
    else if (message.type === "done") this.#finish(message);
    else this.#owner.handle(message);
  }

  #finish(message: FromShard & { type: "done" }): void {
    this.#tasks.get(message.task)?.resolve(message.result);
    this.#tasks.delete(message.task);
  }

  #handleExit(code: number): void {
    this.#worker = undefined;
    this.#isReady = false;
    this.#isStuck = false;
    this.#ending = undefined;
    clearInterval(this.#looking);
    // What it had opened through foreign functions is nobody's now.
    for (const descriptor of openDescriptors(this.#descriptors)) closeDescriptor(descriptor);
    this.#descriptors.fill(0);
    const cause = this.#cause ?? new Error(`The worker ended with code ${code}.`);
    this.#cause = undefined;
    for (const waiting of this.#tasks.values()) waiting.reject(this.#ended(cause));
    this.#tasks.clear();
    if (this.#isClosing) return;
    this.#failures++;
    const wait = this.#nextWait();
    this.#timer = setTimeout(() => this.#start(), wait);
    this.#owner.handleLost(cause, wait);
  }

  #nextWait(): number {
    if (monotonicNow() - this.#since > longLifeMs) this.#shortLives = 0;
    const wait = this.#shortLives === 0 ? 0 : firstWaitMs * 2 ** (this.#shortLives - 1);
    this.#shortLives++;
    return Math.min(wait, longestWaitMs);
  }

  #ended(cause?: Error): PosternError {
    return new PosternError("shard-ended", `The worker ${this.name} has ended; it is started again.`, { cause });
  }
}

/** Whether a task was not done because its worker ended. */
export function hasEnded(reason: unknown): boolean {
  return reason instanceof PosternError && reason.code === "shard-ended";
}

function revived({ name, message, code, stack }: PlainError): Error {
  const error = name === "PosternError" ? new PosternError(code as string, message) : new Error(message);
  return Object.assign(error, { name, ...(code === undefined ? {} : { code }), stack });
}
