/**
 * How much of what there is somebody has: transactions and calls, counted for the user, the source, the connection and the
 * trunk that they are of. Only who has proven who it is gets a transaction, so that strangers are not counted here.
 */
import type { SipFlow } from "../sip/flow.ts";
import type { Holder } from "../sip/transaction/server.ts";
import type { Call } from "./call.ts";
import type { EdgeLimits, Trunk } from "./config.ts";

/** Who is counted, and so the word in a limit's name. */
const KINDS = ["user", "source", "connection", "trunk"] as const;
type AccountKind = (typeof KINDS)[number];

export type QuotaName = `${AccountKind}-${"calls" | "transactions"}`;

export class Account implements Holder {
  readonly kind: AccountKind;
  readonly #most: { readonly calls: number; readonly transactions: number };
  calls = 0;
  transactions = 0;

  constructor(kind: AccountKind, most: { readonly calls: number; readonly transactions: number }) {
    this.kind = kind;
    this.#most = most;
  }

  get isEmpty(): boolean {
    return this.calls === 0 && this.transactions === 0;
  }

  /** `share`: how many times as much as usual may be had. */
  isFull(what: "calls" | "transactions", share: number = 1): boolean {
    return this[what] >= this.#most[what] * share;
  }
}

/** Whose something is. */
export interface Owner {
  /** Undefined for what is of a trunk, or of nobody known. */
  readonly user: string | undefined;
  readonly trunk: Trunk | undefined;
  readonly flow: SipFlow;
}

/** As a person would say. */
export function nameOf({ user, trunk }: Owner): string | undefined {
  return trunk?.name ?? user;
}

/** Accounts that may lie empty before they are looked for. */
const FEW = 1_024;

export class Quotas {
  readonly #limits: EdgeLimits;
  readonly #accounts: Readonly<Record<AccountKind, Map<string | number, Account>>> = {
    user: new Map(),
    source: new Map(),
    connection: new Map(),
    trunk: new Map(),
  };
  readonly #calls: Map<Call, Account[]> = new Map();
  #size = 0;
  #sweepAt = FEW;

  constructor(limits: EdgeLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#size;
  }

  /** Those that something of this owner's is counted for. A trunk has so many sources as it likes. */
  of({ user, trunk, flow }: Owner): readonly Account[] {
    if (trunk !== undefined) return [this.ofTrunk(trunk)];
    if (this.#size >= this.#sweepAt) this.#sweep();
    const source = this.#account("source", sourceOf(flow));
    const owner = user === undefined ? [source] : [source, this.#account("user", user)];
    // Every transaction keeps one: an array that grows has room for sixteen.
    return flow.connection === 0 ? owner : [...owner, this.#account("connection", flow.connection)];
  }

  ofTrunk({ name, calls }: Trunk): Account {
    return this.#account("trunk", name, calls);
  }

  /** A call is counted for its caller, and from now on for a trunk that it is tried through, until it is released. */
  hold(call: Call, through?: Trunk): void {
    const held = this.#calls.get(call) ?? [];
    this.#calls.set(call, held);
    const { name, trunk, flow } = call.caller;
    const accounts = through === undefined ? this.of({ user: name, trunk, flow }) : [this.ofTrunk(through)];
    for (const account of accounts) {
      if (held.includes(account)) continue;
      held.push(account);
      account.calls++;
    }
  }

  release(call: Call): void {
    for (const account of this.#calls.get(call) ?? []) account.calls--;
    this.#calls.delete(call);
  }

  #account(kind: AccountKind, key: string | number, calls?: number): Account {
    const accounts = this.#accounts[kind];
    const known = accounts.get(key);
    if (known !== undefined) return known;
    const account = new Account(kind, this.#most(kind, calls));
    accounts.set(key, account);
    this.#size++;
    return account;
  }

  #most(kind: AccountKind, calls: number | undefined): ConstructorParameters<typeof Account>[1] {
    const { callsPer, transactionsPer } = this.#limits;
    return { calls: calls ?? callsPer[kind], transactions: transactionsPer[kind] };
  }

  /** Of what is held nothing is lost. So rare that an account costs it a step or two. */
  #sweep(): void {
    for (const kind of KINDS) {
      const accounts = this.#accounts[kind];
      for (const [key, account] of accounts) {
        if (!account.isEmpty) continue;
        accounts.delete(key);
        this.#size--;
      }
    }
    this.#sweepAt = Math.max(FEW, this.#size * 2);
  }
}

/** The account that has no room; undefined where all have. */
export function fullOf(
  accounts: readonly Account[],
  what: "calls" | "transactions",
  share?: number,
): QuotaName | undefined {
  const full = accounts.find((account) => account.isFull(what, share));
  return full && `${full.kind}-${what}`;
}

/** An IPv4 address or an IPv6 /56, as everywhere that sources are counted. */
function sourceOf({ remote }: SipFlow): string | number {
  return remote.family === 4 ? remote.w3 : `${remote.w0}:${remote.w1 >>> 8}`;
}
