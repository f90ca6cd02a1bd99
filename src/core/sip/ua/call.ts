/** A call as its user agent keeps it: data alone. What happens to it stands in the files beside this. */
import type { Timed } from "../../base/deadlines.ts";
import type { Instant } from "../../base/machine.ts";
import type { Dialog } from "../dialog/dialog.ts";
import type { DigestAccount } from "../digest/answer.ts";
import type { SipFlow, SipTarget } from "../flow.ts";
import type { SipResponse } from "../message/message.ts";
import type { ServerTransaction } from "../transaction/server.ts";
import { T1 } from "../transaction/timers.ts";
import type { InviteAttempt, RequestAttempt } from "./attempt.ts";

/** Who an agent is in a call. */
export interface LocalParty {
  /** Of From or To: `<sip:alice@example.org>`, with a display name in front if there is one. */
  readonly address: string;
  /** A URI at which requests of the other side arrive here. */
  readonly contact: string;
  /** Of Via: `host` or `host:port`. */
  readonly sentBy: string;
  /** Whose challenges it answers, of this realm and no other; undefined for who has no password. */
  readonly account: DigestAccount | undefined;
}

/**
 * `calling`, `ringing`: nobody has answered. `answered`: the 2xx is out, and its ACK is not there. `confirmed`: both know.
 */
export type UaCallState = "calling" | "ringing" | "answered" | "confirmed" | "ended";

/** An INVITE or UPDATE of the other side that waits for our answer. */
export interface Asked {
  readonly transaction: ServerTransaction;
  readonly hasOffer: boolean;
}

/** Our 2xx to an INVITE, which is repeated until its ACK comes. */
export interface Accepted {
  readonly transaction: ServerTransaction;
  readonly response: SipResponse;
  readonly cseq: number;
  /** The 2xx has brought our offer: the ACK brings its answer. */
  readonly isOffer: boolean;
}

/** A 2xx of the other side that has brought an offer: its ACK waits for our answer. */
export interface Unacknowledged {
  readonly attempt: InviteAttempt | RequestAttempt;
}

/** Where it rings. */
export interface EarlyLeg {
  readonly dialog: Dialog;
  /** What was answered before the call was: it counts when its 2xx says nothing else. */
  description: string | undefined;
}

export interface UaTimer extends Timed {
  readonly call: UaCall;
  readonly what: "repeat" | "unacknowledged" | "again";
}

export class UaCall {
  readonly number: number;
  readonly role: "caller" | "callee";
  readonly local: LocalParty;
  /** Where requests go: the way that the call came, or was placed by. */
  hop: SipFlow | SipTarget;
  /** Whatever the agent's user keeps with the call. */
  owner: unknown = undefined;
  state: UaCallState = "calling";
  /** Of a caller once somebody has answered; of a callee from the beginning. */
  dialog: Dialog | undefined;
  /** Of a caller: where it rings, by the tags. */
  readonly early: Map<string, EarlyLeg> = new Map();
  /** Of a callee: what tells its INVITE when it comes by another way too. */
  inviteKey = "";
  asked: Asked | undefined;
  accepted: Accepted | undefined;
  acknowledging: Unacknowledged | undefined;
  /** Of a callee that rings: what it says every minute. */
  provisional: SipResponse | undefined;
  /** The INVITE that the call began with, for a caller. */
  invite: InviteAttempt | undefined;
  /** Our INVITE or UPDATE within the dialog that has no final response yet. */
  offering: RequestAttempt | undefined;
  /** To be ended as soon as the protocol allows. */
  isHangingUp = false;
  readonly repeat: UaTimer;
  readonly unacknowledged: UaTimer;
  readonly again: UaTimer;
  /** Milliseconds until the 2xx is repeated next. */
  interval: number = T1;

  constructor(number: number, role: "caller" | "callee", local: LocalParty, hop: SipFlow | SipTarget) {
    this.number = number;
    this.role = role;
    this.local = local;
    this.hop = hop;
    this.repeat = timerOf(this, "repeat");
    this.unacknowledged = timerOf(this, "unacknowledged");
    this.again = timerOf(this, "again");
  }
}

function timerOf(call: UaCall, what: UaTimer["what"]): UaTimer {
  return { call, what, deadline: 0 as Instant, heapIndex: -1 };
}
