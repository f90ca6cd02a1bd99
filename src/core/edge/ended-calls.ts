/** The last calls that are over, so that somebody who asks afterwards why there was no sound can be told. */
import { after, type Instant } from "../base/machine.ts";
import type { Call, CallReport } from "./call.ts";

/** Some kilobytes each. */
const MOST = 200;
/** Who complains does so soon, and who called whom is nobody's business for long. */
const KEPT = 3_600_000;

interface Ended {
  readonly key: string;
  readonly until: Instant;
  readonly isHungUp: boolean;
  readonly report: CallReport;
}

export class EndedCalls {
  #calls: Ended[] = [];

  add(call: Call, report: CallReport, isHungUp: boolean, now: Instant): void {
    this.#calls.push({ key: call.key, until: after(now, KEPT), isHungUp, report });
    if (this.#calls.length > MOST) this.#calls.shift();
  }

  /** The latest last. */
  reports(now: Instant): CallReport[] {
    this.forget(now);
    return this.#calls.map(({ report }) => report);
  }

  /** Whether one of its sides has hung up: nothing can follow. */
  isHungUp(key: string): boolean {
    return this.#calls.some((one) => one.key === key && one.isHungUp);
  }

  forget(now: Instant): void {
    const [oldest] = this.#calls;
    if (oldest !== undefined && oldest.until <= now) this.#calls = this.#calls.filter(({ until }) => until > now);
  }
}
