/** A call as the edge knows it: its two sides, and how far it has come. What a person wants to know of it is its report. */
import type { Timed } from "../base/deadlines.ts";
import { detached } from "../base/detached.ts";
import type { Instant } from "../base/machine.ts";
import type { LegId, SessionId } from "../relay/outputs.ts";
import type { SessionReport } from "../relay/report.ts";
import type { SipFlow } from "../sip/flow.ts";
import type { Branch } from "../sip/proxy/fork.ts";
import type { Trunk } from "./config.ts";
import type { MediaPlaces, Site } from "./sites.ts";

/** Dialogs of one call: a phone has one, and what forks behind it some. A response that would begin another is dropped. */
export const MAX_DIALOGS = 64;

export type CallState = "calling" | "ringing" | "answered" | "acknowledged" | "ended";

/** One side of the call. */
export interface CallParty {
  /** Whom it is by signaling: a user's name, a trunk's, or the number that was dialed. */
  readonly name: string;
  readonly flow: SipFlow;
  /** Whose media in the report it is. */
  readonly leg: LegId | undefined;
}

export interface CallReport {
  readonly number: number;
  readonly callId: string;
  readonly state: CallState;
  readonly caller: CallParty;
  /** Who was called, and where it was answered. */
  readonly called: string;
  readonly callee: CallParty | undefined;
  readonly startedAt: Instant;
  readonly answeredAt: Instant | undefined;
  readonly endedAt: Instant | undefined;
  /** `refused 486`, `hung up by caller`, `no media for 60 s`, … */
  readonly end: string | undefined;
  /** Why its media does not go through the relay: `policy`: its signaling does not either once it is answered. */
  readonly direct: "policy" | "site" | undefined;
  /** The site that both sides are of, where that is why. */
  readonly site: string | undefined;
  readonly media: SessionReport | undefined;
}

/** The caller, or a phone that rings, or one that has answered. */
export interface CallSide {
  readonly name: string;
  flow: SipFlow;
  /** Undefined for a phone of ours. */
  readonly trunk: Trunk | undefined;
  leg: LegId | undefined;
  /** Where it wants its media, as far as that is known. */
  places?: MediaPlaces;
  /** Of who was called: both sides are there, so that their media is not relayed. */
  site?: Site | undefined;
}

export class Call implements Timed {
  /** When the ACK should have come. */
  deadline: Instant = 0 as Instant;
  heapIndex = -1;
  readonly number: number;
  readonly callId: string;
  readonly callerTag: string;
  readonly caller: CallSide;
  readonly called: string;
  readonly startedAt: Instant;
  readonly hasOffer: boolean;
  /** Once it is answered, nothing of it comes here. */
  isDirect = false;
  state: CallState = "calling";
  answeredAt: Instant | undefined;
  endedAt: Instant | undefined;
  end: string | undefined;
  session: SessionId | undefined;
  /** The report of media that is no more. */
  media: SessionReport | undefined;
  /** Weak, because a branch keeps its messages alive, and repeats an answer for no longer than its transaction lives. */
  readonly branches: WeakMap<Branch, CallSide> = new WeakMap();
  /** Of all branches. */
  readonly tried: CallSide[] = [];
  /** By the tag of its dialog. */
  readonly callees: Map<string, CallSide> = new Map();
  /** Whom the caller hears. */
  answeredBy: CallSide | undefined;
  /** Those that have answered and not hung up: more than one where two were equally quick. */
  readonly answers: Set<CallSide> = new Set();

  constructor(
    number: number,
    dialog: { readonly callId: string; readonly callerTag: string; readonly hasOffer: boolean },
    caller: CallSide,
    called: string,
    now: Instant,
  ) {
    this.number = number;
    this.callId = detached(dialog.callId);
    this.callerTag = detached(dialog.callerTag);
    this.hasOffer = dialog.hasOffer;
    this.caller = caller;
    this.called = called;
    this.startedAt = now;
  }

  get key(): string {
    return callKey(this.callId, this.callerTag);
  }

  report(media: SessionReport | undefined): CallReport {
    const { number, callId, state, caller, called, answeredBy, startedAt, answeredAt, endedAt, end } = this;
    const party = ({ name, flow, leg }: CallSide): CallParty => ({ name, flow, leg });
    return {
      ...{ number, callId, state, called, startedAt, answeredAt, endedAt, end },
      caller: party(caller),
      callee: answeredBy && party(answeredBy),
      direct: this.isDirect ? "policy" : answeredBy?.site && "site",
      site: answeredBy?.site?.name,
      media: media ?? this.media,
    };
  }
}

export function callKey(callId: string, callerTag: string): string {
  return `${callId}\n${callerTag}`;
}
