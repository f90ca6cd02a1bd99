/**
 * What the kernel forwards for us, for as long as somebody holds the program. When the holder goes, everything is told as it
 * was to the end and comes up to user space; when there is one again, the same flows go down again.
 */
import { PosternError } from "../../../core/base/failure.ts";
import { monotonicNow } from "../../clock.ts";
import { Routes } from "../../sys/routes.ts";
import { SystemError } from "../../sys/system-error.ts";
import { Counters } from "./counters.ts";
import type { FlowEnds, KernelFlow } from "./flow-entry.ts";
import { FlowTable } from "./flow-table.ts";
import { HostRules } from "./host-rules.ts";
import { type OffloadStats, outcomes } from "./offload-stats.ts";
import { holderIsGone, type ProgramSource } from "./program-source.ts";
import { RelayProgram } from "./relay-program.ts";

const tickMs = 250;

/** Of the kernel's forwarding, in nanoseconds from the last tick; longer than a turn of the event loop ever takes. */
const leaseNs = 3_000_000_000n;

/** Until a holder that is gone is looked for again. */
const searchTicks = 8;

/** By code, why there is no helper. */
const absences: ReadonlySet<string> = new Set(["offload-helper-gone", "offload-helper-unreachable"]);

export interface OffloadReports {
  /** The kernel refused a flow, which stays in user space, or to be asked about one. */
  flowFailed(error: unknown): void;
  /** Whether the kernel forwards from now on, and if it does not, why; `interfaces`: those named that there are. */
  changed(because: Error | undefined, interfaces?: readonly string[]): void;
  /** Flows are left to user space although they could be forwarded; said once for each reason. */
  stoodDown(why: string): void;
}

/** What there is while there is a program. */
class Running {
  readonly program: RelayProgram;
  readonly table: FlowTable;
  readonly #rules: HostRules;
  readonly #outcomes: Counters;
  readonly #stats: OffloadStats;
  /** What it has counted, and was told already. */
  readonly #known: number[] = outcomes.map(() => 0);

  constructor(program: RelayProgram, routes: Routes, stats: OffloadStats, reports: OffloadReports) {
    this.program = program;
    this.#rules = new HostRules(program.filter, program.maps.silence, (why) => reports.stoodDown(why));
    this.#rules.haveChanged(monotonicNow());
    this.table = new FlowTable(program, routes, this.#rules, stats);
    this.#outcomes = new Counters(program.maps.outcomes, program.cpus);
    this.#stats = stats;
  }

  /** Throws `SystemError`. */
  setLease(until: bigint): void {
    const { lease } = this.program.maps;
    lease.value.u32[0] = Number(until & 0xffffffffn);
    lease.value.u32[1] = Number(until >> 32n);
    lease.put();
  }

  /** Throws `SystemError`. */
  heedRules(): void {
    if (this.#rules.haveChanged(monotonicNow())) this.table.showAgain();
  }

  /** Throws `SystemError`. */
  count(): void {
    this.table.count();
    this.#countOutcomes();
  }

  /** Of flows that were taken back; true when there is nothing more to come. Throws `SystemError`. */
  finish(): boolean {
    const isDone = this.table.finish();
    this.#countOutcomes();
    return isDone;
  }

  #countOutcomes(): void {
    for (const [index, name] of outcomes.entries()) {
      const [count] = this.#outcomes.read(index, 0) as [number];
      this.#stats.datagrams[name] += count - (this.#known[index] as number);
      this.#known[index] = count;
    }
  }
}

export class KernelForwarding {
  readonly #stats: OffloadStats;
  readonly #source: ProgramSource;
  readonly #reports: OffloadReports;
  readonly #routes: Routes;
  /** What is to be forwarded, whether it can be now or not. */
  readonly #wanted: Map<KernelFlow, FlowEnds> = new Map();
  readonly #timer: NodeJS.Timeout;
  /** When flows go on to be looked at that there was no time for. */
  #turn: NodeJS.Immediate | undefined;
  #running: Running | undefined;
  /** Without a holder; packets may still be on their way through their programs. */
  #leaving: readonly Running[] = [];
  #ticks = 0;
  /** Whether the source has been asked, and has not answered yet. */
  #isAsked = false;
  /** What was reported last: nothing yet, that it is on, or why it is off, by its code. */
  #reported: string | undefined;

  /** Throws what `source` throws, where it will never say anything else. */
  constructor(source: ProgramSource, stats: OffloadStats, reports: OffloadReports, interfaces: readonly string[]) {
    this.#routes = new Routes(interfaces);
    this.#source = source;
    this.#stats = stats;
    this.#reports = reports;
    stats.missing = 1;
    try {
      this.#start();
    } catch (error) {
      if (!source.canReturn || !isRefusal(error)) {
        this.#routes.close();
        throw error;
      }
      this.#report(error);
    }
    this.#timer = setInterval(() => this.#tick(), tickMs).unref();
  }

  add(flow: KernelFlow, ends: FlowEnds): void {
    this.#wanted.set(flow, ends);
    this.#try(({ table }) => table.add(flow, ends));
  }

  /** None of its packets is forwarded any more when this returns. */
  remove(flow: KernelFlow): void {
    this.#wanted.delete(flow);
    this.#try(({ table }) => table.remove(flow));
  }

  close(): void {
    clearInterval(this.#timer);
    clearImmediate(this.#turn);
    const last = [...this.#leaving, ...(this.#running === undefined ? [] : [this.#running])];
    for (const running of last) {
      running.program.leave();
      // Nobody waits for what is on its way any more: it is no longer than this takes.
      while (this.#isLeaving(running));
    }
    this.#running = undefined;
    this.#leaving = [];
    this.#source.close();
    this.#routes.close();
  }

  #tick(): void {
    this.#ticks++;
    this.#leaving = this.#leaving.filter((one) => this.#isLeaving(one));
    if (this.#running === undefined && (this.#isAsked || this.#ticks % searchTicks === 0)) this.#search();
    // First whether it is there: nothing that is said of a program without a holder is a failure.
    if (this.#running?.program.isHeld() === false) this.#stop();
    this.#try((running) => {
      running.setLease(process.hrtime.bigint() + leaseNs);
      running.heedRules();
      if (this.#routes.haveChanged()) running.table.follow();
      running.count();
    });
    this.#goOn();
  }

  /** By turns with packets. */
  #goOn(): void {
    clearImmediate(this.#turn);
    let isMore = false;
    this.#try(({ table }) => {
      // Also after one that was refused.
      isMore = true;
      isMore = table.goOn();
    });
    this.#turn = isMore && this.#running !== undefined ? setImmediate(() => this.#goOn()) : undefined;
  }

  /** Throws what the source throws, and `SystemError` when the maps cannot be written. */
  #start(): void {
    this.#isAsked = false;
    const holder = this.#source.next();
    this.#isAsked = holder === undefined;
    if (holder === undefined) return;
    const program = new RelayProgram(holder);
    try {
      const running = new Running(program, this.#routes, this.#stats, this.#reports);
      running.setLease(process.hrtime.bigint() + leaseNs);
      this.#running = running;
      this.#stats.missing = 0;
    } catch (error) {
      program.close();
      throw error;
    }
    for (const [flow, ends] of this.#wanted) this.#running.table.enqueue(flow, ends);
    this.#report(undefined, this.#routes.present);
    const missing = this.#routes.missing.join(", ");
    if (missing !== "") this.#reports.stoodDown(`no Ethernet interface has the name ${missing} (offload-interfaces)`);
  }

  #search(): void {
    if (!this.#source.canReturn) return;
    try {
      this.#start();
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#report(error);
    }
  }

  /** Each thing once. */
  #report(because: PosternError | SystemError | undefined, interfaces?: readonly string[]): void {
    const what = because?.code ?? "on";
    const isOff = this.#reported !== undefined && this.#reported !== "on";
    // That nobody is there any more, or yet, is no news where there was nobody before.
    if (what === this.#reported || (isOff && absences.has(what))) return;
    this.#reported = what;
    this.#reports.changed(because, interfaces);
  }

  /** Everything comes up from now on. */
  #stop(): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#stats.missing = 1;
    this.#leaving = [...this.#leaving, running];
    try {
      // Where a filter is left over, its program would go on for as long as its lease.
      for (const flow of this.#wanted.keys()) running.table.remove(flow);
    } catch (error) {
      this.#reports.flowFailed(error);
    }
    running.program.leave();
    this.#report(holderIsGone(this.#source.isReplaceable));
  }

  /** Whether there is more to be read, and else it is closed. */
  #isLeaving(running: Running): boolean {
    try {
      if (!running.finish()) return true;
    } catch (error) {
      this.#reports.flowFailed(error);
    }
    running.program.close();
    return false;
  }

  #try(work: (running: Running) => void): void {
    if (this.#running === undefined) return;
    try {
      work(this.#running);
    } catch (error) {
      if (!this.#running.program.isHeld()) return this.#stop();
      if (!(error instanceof SystemError)) throw error;
      this.#stats.failures++;
      this.#reports.flowFailed(error);
    }
  }
}

function isRefusal(error: unknown): error is PosternError | SystemError {
  return error instanceof PosternError || error instanceof SystemError;
}
