/**
 * Who was refused lately, for people who ask why a phone is not let in. Of each reason so many are remembered and no more,
 * those that came last: what strangers can cause at will does not push out what is worth knowing.
 */
import type { Address } from "../base/address.ts";
import { detached } from "../base/detached.ts";
import type { Instant } from "../base/machine.ts";
import { hashSource } from "../base/source-budget.ts";
import type { SipFlow, SipTransport } from "../sip/flow.ts";
import { isLimit } from "./limit-answer.ts";
import type { EdgeRefusal } from "./outputs.ts";
import type { EdgeState } from "./state.ts";

export interface RefusalReport {
  readonly why: EdgeRefusal;
  /** Whose name it was, or which trunk's: proven for a limit, claimed for a wrong password. */
  readonly name: string | undefined;
  /** Of the last one. */
  readonly remote: Readonly<Address>;
  readonly transport: SipTransport;
  readonly count: number;
  readonly lastAt: Instant;
}

type Entry = { -readonly [K in keyof RefusalReport]: RefusalReport[K] };

const REMEMBERED = 64;
/** Milliseconds. */
const LATELY = 3_600_000;
const LONGEST_NAME = 64;

export class Refusals {
  /** Each oldest first. */
  readonly #entries: Map<EdgeRefusal, Map<string, Entry>> = new Map();

  note(why: EdgeRefusal, { remote, transport }: SipFlow, name: string | undefined, now: Instant): void {
    let entries = this.#entries.get(why);
    if (entries === undefined) {
      entries = new Map();
      this.#entries.set(why, entries);
    }
    const key = `${hashSource(remote, 0)} ${name?.slice(0, LONGEST_NAME) ?? ""}`;
    const known = entries.get(key);
    const isRecent = known !== undefined && now - known.lastAt < LATELY;
    const count = isRecent ? known.count + 1 : 1;
    entries.delete(key);
    const shown = known?.name ?? (name && detached(name.slice(0, LONGEST_NAME)));
    entries.set(key, { why, name: shown, remote, transport, count, lastAt: now });
    if (entries.size <= REMEMBERED) return;
    for (const oldest of entries.keys()) return void entries.delete(oldest);
  }

  /** Of the last hour, the latest first. */
  reports(now: Instant): RefusalReport[] {
    const all = [...this.#entries.values()].flatMap((entries) => [...entries.values()]);
    return all.filter(({ lastAt }) => now - lastAt < LATELY).sort((a, b) => b.lastAt - a.lastAt);
  }
}

/** Counted, remembered, and told where it is about room. To be asked for a password is no refusal yet. */
export function noteRefusal(
  { stats, refusals, outputs }: EdgeState,
  why: EdgeRefusal,
  flow: SipFlow,
  name: string | undefined,
  now: Instant,
): void {
  stats.refused[why]++;
  if (why !== "stranger") refusals.note(why, flow, name, now);
  if (isLimit(why)) outputs.push({ kind: "event", event: { type: "limited", limit: why, name, flow } });
}
