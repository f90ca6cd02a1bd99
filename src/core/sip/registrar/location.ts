/** All bindings, by user; their ends and their probes in one heap of deadlines. */
import { Deadlines, type Timed } from "../../base/deadlines.ts";
import type { Instant } from "../../base/machine.ts";
import { flowKey, type SipFlow } from "../flow.ts";
import type { Binding, BindingRecord, BindingState } from "./binding.ts";

export interface LocationTimer extends Timed {
  readonly entry: Entry;
  readonly what: "expiry" | "probe";
}

/** A binding as the registrar keeps it. */
export class Entry implements Binding {
  readonly aor: string;
  readonly contact: string;
  readonly params: string;
  readonly priority: number;
  readonly instance: string | undefined;
  readonly callId: string;
  readonly cseq: number;
  readonly path: readonly string[];
  readonly through: string | undefined;
  readonly userAgent: string | undefined;
  readonly flow: Binding["flow"];
  readonly registeredAt: Binding["registeredAt"];
  readonly expiresAt: Binding["expiresAt"];
  state: BindingState = "reachable";
  unanswered = 0;
  answeredAt: Instant | undefined;
  isProbing = false;
  readonly expiry: LocationTimer = { entry: this, what: "expiry", deadline: 0 as Instant, heapIndex: -1 };
  readonly probe: LocationTimer = { entry: this, what: "probe", deadline: 0 as Instant, heapIndex: -1 };

  constructor(record: BindingRecord) {
    this.aor = record.aor;
    this.contact = record.contact;
    this.params = record.params;
    this.priority = record.priority;
    this.instance = record.instance;
    this.callId = record.callId;
    this.cseq = record.cseq;
    this.path = record.path;
    this.through = record.through;
    this.userAgent = record.userAgent;
    this.flow = record.flow;
    this.registeredAt = record.registeredAt;
    this.expiresAt = record.expiresAt;
  }
}

const NONE: readonly Entry[] = [];

export class Location {
  readonly deadlines: Deadlines<LocationTimer> = new Deadlines();
  readonly #users: Map<string, Entry[]> = new Map();
  readonly #connections: Map<number, Set<Entry>> = new Map();
  /** How many phones are where. */
  readonly #flows: Map<string | number, number> = new Map();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  of(aor: string): readonly Entry[] {
    return this.#users.get(aor) ?? NONE;
  }

  *all(): Iterable<Entry> {
    for (const entries of this.#users.values()) yield* entries;
  }

  onConnection(connection: number): readonly Entry[] {
    return [...(this.#connections.get(connection) ?? [])];
  }

  hasFlow(flow: SipFlow): boolean {
    return this.#flows.has(flowKey(flow));
  }

  has(entry: Entry): boolean {
    return this.of(entry.aor).includes(entry);
  }

  add(entry: Entry): void {
    const entries = this.#users.get(entry.aor);
    if (entries === undefined) this.#users.set(entry.aor, [entry]);
    else entries.push(entry);
    this.#size++;
    const flow = flowKey(entry.flow);
    this.#flows.set(flow, (this.#flows.get(flow) ?? 0) + 1);
    const { connection } = entry.flow;
    if (connection === 0) return;
    const shared = this.#connections.get(connection);
    if (shared === undefined) this.#connections.set(connection, new Set([entry]));
    else shared.add(entry);
  }

  remove(entry: Entry): void {
    this.deadlines.clear(entry.expiry);
    this.deadlines.clear(entry.probe);
    const entries = this.#users.get(entry.aor);
    const at = entries?.indexOf(entry) ?? -1;
    if (entries === undefined || at < 0) return;
    entries.splice(at, 1);
    this.#size--;
    const flow = flowKey(entry.flow);
    const left = (this.#flows.get(flow) ?? 1) - 1;
    if (left > 0) this.#flows.set(flow, left);
    else this.#flows.delete(flow);
    if (entries.length === 0) this.#users.delete(entry.aor);
    const shared = this.#connections.get(entry.flow.connection);
    shared?.delete(entry);
    if (shared?.size === 0) this.#connections.delete(entry.flow.connection);
  }
}
