/** What is known of one phone: where it says that it is, and where it really is. */
import type { Instant, UnixSeconds } from "../../base/machine.ts";
import type { SipFlow } from "../flow.ts";

/**
 * `reachable`: nothing speaks against it; `unanswered`: its last probes were not answered; `flow-lost`: its connection is
 * closed, and only the phone can open another.
 */
export type BindingState = "reachable" | "unanswered" | "flow-lost";

/** What is kept beyond a restart. */
export interface BindingRecord {
  /** `sip:user@domain`, in the one spelling that `addressOfRecord` gives it. */
  readonly aor: string;
  /** The URI of the Contact, exactly as the phone gave it. */
  readonly contact: string;
  /** The Contact header's own parameters but for `expires`, as they were given: `;q=0.5;+sip.instance="…"`. */
  readonly params: string;
  /** 0 to 1000. */
  readonly priority: number;
  readonly instance: string | undefined;
  readonly callId: string;
  readonly cseq: number;
  /** RFC 3327: the Path values through which it is reached, first to last. */
  readonly path: readonly string[];
  /** Its REGISTER came through another proxy, which is named as it names itself; undefined: straight from the phone. */
  readonly through?: string | undefined;
  readonly userAgent: string | undefined;
  readonly flow: SipFlow;
  readonly registeredAt: UnixSeconds;
  readonly expiresAt: UnixSeconds;
}

export interface Binding extends BindingRecord {
  readonly state: BindingState;
  /** Probes in a row that were not answered. */
  readonly unanswered: number;
  /** When the last probe was answered. */
  readonly answeredAt: Instant | undefined;
}
