/** Descriptions of the peer, and restarts (RFC 8445 §9): new credentials, with the old path in use until a new one is. */
import { after, type Instant } from "../base/machine.ts";
import { takeEarly } from "./answers.ts";
import type { Candidate } from "./candidate.ts";
import { Checklist } from "./checklist.ts";
import { endInterim, listen, stopConsent } from "./consent.ts";
import { freshCredentials, type IceCredentials, type KeyedCredentials, keyed } from "./credentials.ts";
import { endCheck } from "./failing.ts";
import { gatherAgain } from "./gathering.ts";
import { wake } from "./pacing.ts";
import { addRemote } from "./pairing.ts";
import { giveWay } from "./role.ts";
import type { AgentState } from "./state.ts";
import type { Stream } from "./stream.ts";

/** RFC 8863 §4: as long as a transaction with the numbers of RFC 8489 §6.2.1 lasts. */
const PAC_MS = 39_500;
const LIKELY_CAUSE_MS = 5_000;
/** What is on its way on the old path when the new one is taken. */
const LINGER_MS = 3_000;

/** What the peer has told of itself, for one stream. */
export interface RemoteDescription extends IceCredentials {
  /** RFC 8839 §5.3: `a=ice-lite`. */
  readonly isLite?: boolean;
  /** It has the option `HARD_NATS_OPTION`. */
  readonly hardNats?: boolean;
  /** Those that stand in the description; others may follow one by one. */
  readonly candidates?: readonly Candidate[];
  /** There will be no others (RFC 8840 §8.2). */
  readonly isEnd?: boolean;
}

export function beginLists(state: AgentState, why: "first" | "own" | "peer", now: Instant): void {
  const local = freshCredentials(state.ports);
  for (const stream of state.streams) beginList(state, stream, local, now);
  const { ufrag, password } = local;
  state.tell({ type: "credentials", credentials: { ufrag, password }, why });
}

function beginList(state: AgentState, stream: Stream, local: KeyedCredentials, now: Instant): void {
  const { current } = stream;
  const carries = current?.components.some(({ selected }) => selected !== undefined) === true;
  if (current !== undefined) abandonChecks(state, current);
  if (carries) {
    if (stream.previous !== undefined) forget(state, stream.previous);
    stream.previous = current;
    for (const component of current.components) listen(state, component, now);
  }
  stream.current = new Checklist(stream, local);
  state.deadlines.set(stream.current.likelyCauseTimer, after(now, LIKELY_CAUSE_MS));
}

/** Everything but what the path in use needs. */
function abandonChecks(state: AgentState, list: Checklist): void {
  for (const timer of [list.pacTimer, list.likelyCauseTimer]) state.deadlines.clear(timer);
  list.triggered.length = 0;
  for (const transaction of [...state.transactions.open]) {
    const { purpose } = transaction;
    if (purpose.kind === "check" && purpose.pair.list === list) state.transactions.end(transaction);
  }
  for (const pair of list.pairs) endCheck(state, pair);
  for (const component of list.components) endInterim(state, component);
}

export function forget(state: AgentState, list: Checklist): void {
  abandonChecks(state, list);
  state.deadlines.clear(list.lingerTimer);
  for (const component of list.components) stopConsent(state, component);
  if (list.stream.previous === list) list.stream.previous = undefined;
}

/** The new path carries: the old one hears what is still under way, and then no more. */
export function retirePrevious(state: AgentState, { previous }: Stream, now: Instant): void {
  if (previous === undefined || previous.lingerTimer.heapIndex >= 0) return;
  for (const component of previous.components) stopConsent(state, component);
  state.deadlines.set(previous.lingerTimer, after(now, LINGER_MS));
}

export function restart(state: AgentState, why: "own" | "peer", now: Instant): void {
  state.longestRoundTrip = undefined;
  beginLists(state, why, now);
  if (state.gathering !== "idle") gatherAgain(state, now);
}

export function describe(state: AgentState, stream: Stream, told: RemoteDescription, now: Instant): void {
  const remote = keyed(told, state.ports.crypto.importKey);
  const known = stream.current?.remote;
  if (known?.ufrag === remote.ufrag && known.password === remote.password)
    return hearCandidates(state, stream, told, now);
  // RFC 8839 §4.4.3.1.1: new credentials in an offer are a restart, and are answered with new ones.
  if (known !== undefined) restart(state, "peer", now);
  const list = stream.current as Checklist;
  list.remote = remote;
  list.remoteIsLite = told.isLite === true;
  list.remoteHardNats = told.hardNats === true;
  // RFC 8445 §6.1.1: of a lite and a full agent the full one is controlling.
  if (list.remoteIsLite && !state.config.isLite && !state.isControlling) giveWay(state);
  state.deadlines.set(list.likelyCauseTimer, after(now, LIKELY_CAUSE_MS));
  // RFC 8863 §4: the timer starts when checks can.
  state.deadlines.set(list.pacTimer, after(now, PAC_MS));
  hearCandidates(state, stream, told, now);
  takeEarly(state, list, now);
  wake(state, now);
}

function hearCandidates(state: AgentState, stream: Stream, told: RemoteDescription, now: Instant): void {
  const list = stream.current as Checklist;
  for (const candidate of told.candidates ?? []) addRemote(state, list, candidate, now);
  if (told.isEnd === true) list.remoteEnded = true;
}
