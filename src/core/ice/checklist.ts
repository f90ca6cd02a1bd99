/** The checklist of one stream (RFC 8445 §6.1.2), for as long as its credentials are good. */
import { type Address, sameAddress } from "../base/address.ts";
import type { Instant } from "../base/machine.ts";
import type { Base } from "./base.ts";
import type { RemoteCandidate } from "./candidate.ts";
import type { KeyedCredentials } from "./credentials.ts";
import type { CandidatePair, Timer } from "./pair.ts";
import type { Stream } from "./stream.ts";

/** A check that came before its peer's description (RFC 8445 §7.3): it was answered, and waits. */
export interface EarlyCheck {
  readonly base: Base;
  readonly from: Readonly<Address>;
  readonly priority: number;
  readonly useCandidate: boolean;
  readonly remoteUfrag: string;
}

export interface ConsentTimer extends Timer<"consent" | "doubt" | "expiry" | "silence"> {
  readonly component: ListedComponent;
}

export interface ListTimer extends Timer<"pac" | "likely-cause" | "linger"> {
  readonly list: Checklist;
}

/** A component, as far as one checklist has brought it. */
export class ListedComponent {
  readonly list: Checklist;
  readonly id: number;
  selected: CandidatePair | undefined;
  /** What carries data as long as nothing is selected. */
  interim: CandidatePair | undefined;
  /** It had a path once. */
  hadPath = false;
  /** A check of the peer's has come. */
  isPeerAwake = false;
  /** A usable pair was told of. */
  isUsable = false;
  /** RFC 7675: the last checks of the selected pair were not answered in time. */
  isDoubtful = false;
  /** When the first of them was sent. */
  suspectedAt: Instant | undefined;
  /** Checks of the selected pair that were not answered since a restart was begun. */
  unanswered = 0;
  readonly silenceTimer: ConsentTimer = this.#timer("silence");
  readonly consentTimer: ConsentTimer = this.#timer("consent");
  readonly doubtTimer: ConsentTimer = this.#timer("doubt");
  readonly expiryTimer: ConsentTimer = this.#timer("expiry");

  constructor(list: Checklist, id: number) {
    this.list = list;
    this.id = id;
  }

  /** What consent is needed for. */
  get inUse(): CandidatePair | undefined {
    return this.selected ?? this.interim;
  }

  #timer(kind: ConsentTimer["kind"]): ConsentTimer {
    return { kind, component: this, deadline: 0 as Instant, heapIndex: -1 };
  }
}

export class Checklist {
  readonly stream: Stream;
  readonly local: KeyedCredentials;
  remote: KeyedCredentials | undefined;
  remoteIsLite = false;
  /** The peer takes part in probing hard NATs. */
  remoteHardNats = false;
  readonly components: readonly ListedComponent[];
  /** The best first. */
  readonly pairs: CandidatePair[] = [];
  readonly remotes: RemoteCandidate[] = [];
  /** RFC 8445 §6.1.4.1: first in, first out. */
  readonly triggered: CandidatePair[] = [];
  readonly early: EarlyCheck[] = [];
  /** Why candidates with names could not be used: sentences. */
  readonly nameFailures: string[] = [];
  /** The peer has told its last candidate. */
  remoteEnded = false;
  isFailed = false;
  /** RFC 8863 §4: until the PAC timer has fired, a peer-reflexive candidate may come and save it. */
  isPatient = true;
  /** Messages that claimed to be the peer's, and were not sealed with the credentials agreed upon. */
  unsealed = 0;
  readonly pacTimer: ListTimer = this.#timer("pac");
  readonly likelyCauseTimer: ListTimer = this.#timer("likely-cause");
  readonly lingerTimer: ListTimer = this.#timer("linger");

  constructor(stream: Stream, local: KeyedCredentials) {
    this.stream = stream;
    this.local = local;
    this.components = stream.components.map((id) => new ListedComponent(this, id));
  }

  get isCompleted(): boolean {
    return this.components.every(({ selected }) => selected !== undefined);
  }

  component(id: number): ListedComponent {
    return this.components.find((one) => one.id === id) as ListedComponent;
  }

  of(component: number): CandidatePair[] {
    return this.pairs.filter((pair) => pair.component === component);
  }

  find(base: Base, remote: Readonly<Address>): CandidatePair | undefined {
    return this.pairs.find((pair) => pair.base === base && sameAddress(pair.remoteAddress, remote));
  }

  remoteAt(component: number, address: Readonly<Address>): RemoteCandidate | undefined {
    return this.remotes.find((one) => one.component === component && sameAddress(one.address, address));
  }

  sort(): void {
    this.pairs.sort((a, b) => (a.priority > b.priority ? -1 : a.priority < b.priority ? 1 : 0));
  }

  remove(pair: CandidatePair): void {
    this.pairs.splice(this.pairs.indexOf(pair), 1);
    this.untrigger(pair);
  }

  untrigger(pair: CandidatePair): void {
    const at = this.triggered.indexOf(pair);
    if (at >= 0) this.triggered.splice(at, 1);
  }

  #timer(kind: ListTimer["kind"]): ListTimer {
    return { kind, list: this, deadline: 0 as Instant, heapIndex: -1 };
  }
}
