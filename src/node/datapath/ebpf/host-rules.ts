/**
 * What this host's own netfilter has to do with flows. What is forwarded at the ingress of an interface passes it by, so a
 * flow may be forwarded there only where that changes nothing: where the host translates its addresses, it may not. Where no
 * rule translates anything, none is asked about. Where some do, a flow has to show first, by a packet that went through user
 * space, what the host makes of the connections at both of its ends.
 *
 * Where the host tracks connections, it must not forget those that are forwarded: what comes to user space after all would be
 * a stranger's, to a firewall that lets in what belongs to something. So now and then one packet of each flow goes up.
 */
import type { Address } from "../../../core/base/address.ts";
import { after, type Instant } from "../../../core/base/machine.ts";
import type { BpfMap } from "../../sys/bpf.ts";
import { type Tracking, trackedConnections, trackingPatience } from "../../sys/netfilter.ts";

/** What is asked of the host's netfilter by who may. Throws `SystemError` where that one does not answer. */
export interface PrivilegedFilter {
  readonly generation: number | undefined;
  readonly translates: boolean | undefined;
  tracking(local: Readonly<Address>, remote: Readonly<Address>): Tracking;
}

interface End {
  readonly local: Readonly<Address>;
  readonly remote: Readonly<Address>;
}

/** What is known of one flow. */
export interface Standing {
  /** Both of its ends are left alone, as of `askedAt`. */
  isShown: boolean;
  askedAt: Instant;
  /** How many packets user space had carried when it was last asked about. */
  carried: number;
  /** It is left to user space until then, whatever it shows. */
  restsUntil: Instant;
  /** How long it rests the next time that its packets are not seen, in milliseconds. */
  nextRest: number;
}

/** Seconds without a packet that connection tracking sees, where it is as patient as it is by default. */
const longestSilence = 10;

/** Of a flow whose packets are not seen: a minute, eight, and so on. */
const firstRestMs = 60_000;
const restFactor = 8;

const longAgo = Number.NEGATIVE_INFINITY as Instant;

/** How long what a flow has shown holds. */
const shownMs = 30_000;
/** Where it cannot be told whether rules have changed. */
const lookAgainMs = 10_000;

export class HostRules {
  readonly #filter: PrivilegedFilter;
  readonly #silence: BpfMap;
  #mustShow = true;
  #generation: number | undefined;
  #lookedAt: Instant = longAgo;
  #seconds: number | undefined;
  /** Why the last one may not that was asked about; told once for each reason. */
  readonly #told: Set<string> = new Set();
  readonly #tell: (why: string) => void;

  /** `tell`: hears why flows are left to user space. */
  constructor(filter: PrivilegedFilter, silence: BpfMap, tell: (why: string) => void) {
    this.#filter = filter;
    this.#silence = silence;
    this.#tell = tell;
  }

  /** Whether flows have to show. */
  get mustShow(): boolean {
    return this.#mustShow;
  }

  /** Whether what flows have shown, or need not have shown, is of no worth any more. Throws `SystemError`. */
  haveChanged(now: Instant): boolean {
    this.#setSilence();
    const { generation } = this.#filter;
    const isSame = generation === undefined ? now < this.#lookedAt + lookAgainMs : generation === this.#generation;
    if (isSame) return false;
    this.#generation = generation;
    this.#lookedAt = now;
    const had = this.#mustShow;
    this.#mustShow = this.#filter.translates !== false;
    return generation === undefined ? had !== this.#mustShow : had || this.#mustShow;
  }

  /** Whether it may be forwarded, which is asked again now and then. `carried`: by user space, until now. */
  allow(standing: Standing, ends: readonly End[], carried: number, now: Instant): boolean {
    if (now < standing.restsUntil) return false;
    if (!this.#mustShow) return true;
    if (standing.isShown && now < standing.askedAt + shownMs) return true;
    // Nothing has happened that could show.
    if (!standing.isShown && carried === standing.carried && standing.askedAt !== longAgo) return false;
    const tracking = ends.map(({ local, remote }) => this.#filter.tracking(local, remote));
    standing.askedAt = now;
    if (tracking.includes("translated")) this.say("this host translates the addresses of its packets");
    if (tracking.includes("unknown"))
      this.say("this host tracks connections, and does not say whether it translates them");
    if (tracking.includes("translated") || tracking.includes("unknown")) {
      standing.isShown = false;
      standing.restsUntil = after(now, shownMs);
    } else if (!standing.isShown) {
      // What has been carried, and is yet unknown to the host, it does not track.
      standing.isShown = carried > standing.carried || tracking.every((one) => one === "untranslated");
    }
    standing.carried = carried;
    return standing.isShown;
  }

  /** Its packets come to user space although it is in the kernel. */
  rest(standing: Standing, why: string, now: Instant): void {
    standing.restsUntil = after(now, standing.nextRest);
    standing.nextRest *= restFactor;
    standing.isShown = false;
    this.say(why);
  }

  /** Why flows are left to user space, once. */
  say(why: string): void {
    if (this.#told.has(why)) return;
    this.#told.add(why);
    this.#tell(why);
  }

  #setSilence(): void {
    const tracked = trackedConnections();
    // A third, so that one that is lost is not missed.
    const seconds = tracked === 0 ? 0 : Math.min(longestSilence, trackingPatience() / 3);
    if (seconds === this.#seconds) return;
    const nanoseconds = BigInt(Math.round(seconds * 1e9));
    this.#silence.value.u32[0] = Number(nanoseconds & 0xffffffffn);
    this.#silence.value.u32[1] = Number(nanoseconds >> 32n);
    this.#silence.put();
    this.#seconds = seconds;
  }
}

export function newStanding(carried: number): Standing {
  return { isShown: false, askedAt: longAgo, carried, restsUntil: longAgo, nextRest: firstRestMs };
}

/** What it has shown is of no worth any more. */
export function forget(standing: Standing): void {
  standing.isShown = false;
  standing.askedAt = longAgo;
  if (standing.nextRest === firstRestMs) standing.restsUntil = longAgo;
}
