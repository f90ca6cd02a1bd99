/** What an agent knows of its probing: the sockets, the attempt under way, and what is left of the budget. */
import type { Address } from "../../base/address.ts";
import type { Timed } from "../../base/deadlines.ts";
import type { Instant } from "../../base/machine.ts";
import type { Base, BaseId } from "../base.ts";
import type { ListedComponent } from "../checklist.ts";
import type { Plan } from "./plan.ts";

/** Distinct probes of an agent, whatever its parts and however often it restarts. */
const BUDGET = 1_280;

export interface HardNatTimer extends Timed {
  readonly kind: "hard-nats";
}

/** Probing for one component. */
export interface Attempt {
  readonly component: ListedComponent;
  readonly plan: Plan;
  /** The socket that the peer knows; others are opened on its address. */
  readonly base: Base;
  /** Sockets that may still be asked for. */
  wanted: number;
  /** One was asked for that is neither there nor refused. */
  isAwaiting: boolean;
  /** Open, and yet to send their probe. */
  readonly ready: Base[];
  probes: number;
  /** Nothing more is sent. */
  isSpent: boolean;
  /** What is not in use then is closed. */
  ends: Instant;
}

/** A probe that may be answered. */
export interface Probe {
  readonly attempt: Attempt;
  readonly base: Base;
  readonly to: Readonly<Address>;
}

export class HardNats {
  readonly timer: HardNatTimer = { kind: "hard-nats", deadline: 0 as Instant, heapIndex: -1 };
  /** Opened for it, and not heard on: they are no bases of the agent's yet. */
  readonly sockets: Map<BaseId, Base> = new Map();
  /** Those that were heard on, and became bases. */
  readonly adopted: Set<Base> = new Set();
  /** By transaction. */
  readonly probes: Map<string, Probe> = new Map();
  /** There is one for each component of a checklist, and no second. */
  readonly attempts: WeakMap<ListedComponent, Attempt> = new WeakMap();
  /** The one under way. */
  attempt: Attempt | undefined;
  probesLeft: number = BUDGET;
  /** The earliest instant for the next probe. */
  nextProbe: Instant = Number.NEGATIVE_INFINITY as Instant;
}
