/** A call as the edge knows it: its two sides, and how far it has come. What a person wants to know of it is its report. */
import type { Timed } from "../base/deadlines.ts";
import { detached } from "../base/detached.ts";
import type { Instant, UnixSeconds } from "../base/machine.ts";
import type { LegId, SessionId } from "../relay/outputs.ts";
import type { SessionReport } from "../relay/report.ts";
import type { SipFlow } from "../sip/flow.ts";
import type { Branch } from "../sip/proxy/fork.ts";
import type { ServerTransaction } from "../sip/transaction/server.ts";
import type { Trunk } from "./config.ts";
import type { Dialog } from "./hanging-up.ts";
import { LateOffers } from "./late-offers.ts";
import type { MediaPlaces, Site } from "./sites.ts";
import type { Owned } from "./state.ts";

/**
 * Dialogs of one call: a phone has one, and what forks behind it some. A response that would begin another is dropped; an
 * answer is of more use than that a phone rings, and finds as much room again.
 */
export const MAX_DIALOGS = 64;

/**
 * What a call's record must name. `never-acknowledged`: no ACK came for the answer, so who has answered will hang up after
 * 32 s. `no-route`: a phone leaves out of its requests, or its answer, what Record-Route says. `flow-lost`: the connection of a phone
 * is closed, and only the phone can open another. `unreachable`: somebody did not answer at all, or nothing could be sent.
 */
export type CallTrouble = "never-acknowledged" | "no-route" | "flow-lost" | "unreachable" | "no-media" | "no-ports";

/** Of a call. More of them say nothing new. */
const MAX_TROUBLES = 16;

export interface TroubleReport {
  readonly what: CallTrouble;
  /** Whose it is, as `CallParty` names it: who has sent no ACK, who cannot be reached. */
  readonly name: string | undefined;
  readonly at: Instant;
  /** The phone has come back. */
  readonly isOver: boolean;
}

/** Milliseconds without a packet, after which media is somewhere else. */
const UNRELAYED = 5_000;

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
  /**
   * Why its media does not go through the relay. `policy`: its signaling does not either once it is answered; `ice`: the
   * phones have found a way of their own, which is known at the end of the call.
   */
  readonly direct: "policy" | "site" | "ice" | undefined;
  /** The site that both sides are of, where that is why. */
  readonly site: string | undefined;
  /** It began before a restart, or was given up, and is known again since `startedAt`. */
  readonly isResumed: boolean;
  readonly troubles: readonly TroubleReport[];
  readonly media: SessionReport | undefined;
}

/** The caller, or a phone that rings, or one that has answered. */
export interface CallSide {
  readonly name: string;
  flow: SipFlow;
  /** Undefined for a phone of ours. */
  readonly trunk: Trunk | undefined;
  /** Another proxy stands before it, and that one's address proves nothing of its media. */
  isProxied?: boolean | undefined;
  leg: LegId | undefined;
  /** Where it wants its media, as far as that is known. */
  places?: MediaPlaces;
  /** Of who was called: both sides are there, so that their media is not relayed. */
  site?: Site | undefined;
  /** That its flow is lost, in the call's record. */
  lost?: Trouble | undefined;
}

interface Trouble extends TroubleReport {
  isOver: boolean;
}

/** By what a dialog is known. */
export interface CallDialog {
  readonly callId: string;
  readonly callerTag: string;
  /** Whether the INVITE had an offer. */
  readonly hasOffer: boolean;
  /** Of a call that is known again: when that was. */
  readonly resumedAt?: UnixSeconds;
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
  readonly resumedAt: UnixSeconds | undefined;
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
  /** Phones that have given way, and whose ports are free. One that answers nevertheless is none of them. */
  readonly gone: WeakSet<CallSide> = new WeakSet();
  readonly lateOffers: LateOffers = new LateOffers();
  /** By the tag of its dialog. */
  readonly callees: Map<string, CallSide> = new Map();
  /** Whom the caller hears. */
  answeredBy: CallSide | undefined;
  /** Those that have answered and not hung up: more than one where two were equally quick. */
  readonly answers: Set<CallSide> = new Set();
  /** Of each of these, what it takes to end it. */
  readonly dialogs: Map<CallSide, Dialog> = new Map();
  /** What its fork bears, where it has one. */
  owned: Owned | undefined;
  /** As long as nobody has answered. */
  invite: ServerTransaction | undefined;
  /** Whose ACK is awaited. */
  acknowledger: CallSide;
  readonly #troubles: Trouble[] = [];

  constructor(number: number, dialog: CallDialog, caller: CallSide, called: string, now: Instant) {
    this.number = number;
    this.callId = detached(dialog.callId);
    this.callerTag = detached(dialog.callerTag);
    this.hasOffer = dialog.hasOffer;
    this.resumedAt = dialog.resumedAt;
    this.acknowledger = caller;
    this.caller = caller;
    this.called = called;
    this.startedAt = now;
  }

  get key(): string {
    return callKey(this.callId, this.callerTag);
  }

  /** Whether that is one of its sides, and not only one that a token has told of. */
  has(side: CallSide): boolean {
    return side === this.caller || this.tried.includes(side);
  }

  /** Undefined where that is known already, and goes on. */
  note(what: CallTrouble, name: string | undefined, at: Instant): Trouble | undefined {
    const isKnown = this.#troubles.some((one) => one.what === what && one.name === name && !one.isOver);
    if (isKnown || this.#troubles.length >= MAX_TROUBLES) return undefined;
    const trouble: Trouble = { what, name, at, isOver: false };
    this.#troubles.push(trouble);
    return trouble;
  }

  report(media: SessionReport | undefined): CallReport {
    const { number, callId, state, caller, called, answeredBy, startedAt, answeredAt, endedAt, end } = this;
    const party = ({ name, flow, leg }: CallSide): CallParty => ({ name, flow, leg });
    return {
      ...{ number, callId, state, called, startedAt, answeredAt, endedAt, end },
      caller: party(caller),
      callee: answeredBy && party(answeredBy),
      direct: this.isDirect ? "policy" : answeredBy?.site ? "site" : foundWay(media ?? this.media, endedAt),
      site: answeredBy?.site?.name,
      isResumed: this.resumedAt !== undefined,
      troubles: this.#troubles.map((trouble) => ({ ...trouble })),
      media: media ?? this.media,
    };
  }
}

/** Whether both sides speak ICE, and nothing of the call was left to relay. */
function foundWay(media: SessionReport | undefined, endedAt: Instant | undefined): "ice" | undefined {
  if (media === undefined || endedAt === undefined || endedAt - media.mediaAt < UNRELAYED) return undefined;
  const streams = media.legs.flatMap((leg) => leg.streams);
  const isHeld = streams.some((stream) => stream.isHeld);
  return !isHeld && streams.some(({ ice }) => ice === "passes") ? "ice" : undefined;
}

export function callKey(callId: string, callerTag: string): string {
  return `${callId}\n${callerTag}`;
}
