/**
 * The tests are written as procedures: generators that yield what they wait for and are resumed with the outcome, from
 * inside the machine's `handle*` calls and nowhere else. A procedure owns its sockets, so that those that run together
 * cannot disturb each other; between two steps it holds no state that another one changes.
 */
import type { Address } from "../../base/address.ts";
import type { TransactionTiming } from "../client-transaction.ts";
import type { Finding } from "./report.ts";

declare const probeSocketId: unique symbol;
export type ProbeSocketId = number & { readonly [probeSocketId]?: true };

export interface ProbeSocket {
  readonly id: ProbeSocketId;
  readonly transport: "udp" | "tcp";
  readonly local: Readonly<Address>;
}

/** Opens a UDP socket on any port, or connects over TCP, from the port of an earlier connection where `from` is given. */
export type Open =
  | { readonly kind: "open"; readonly transport: "udp" }
  | {
      readonly kind: "open";
      readonly transport: "tcp";
      readonly to: Readonly<Address>;
      readonly from: ProbeSocket | undefined;
    };

/** A datagram that is sent once, and of which nothing is expected. */
interface Sending {
  readonly to: Readonly<Address>;
  readonly message: Uint8Array;
  /** How many hops it goes at most; undefined: as many as the system lets it. */
  readonly hopLimit: number | undefined;
}

/** Sends a request, repeatedly over UDP, until an answer is taken or there is none. */
export interface Ask {
  readonly kind: "ask";
  readonly socket: ProbeSocket;
  readonly to: Readonly<Address>;
  readonly request: Uint8Array;
  /** Sources whose answer is taken; one from elsewhere is noted, and waited on. Undefined: any. */
  readonly from: readonly Readonly<Address>[] | undefined;
  /** Sockets at which it is taken. */
  readonly on: readonly ProbeSocket[];
  readonly timing?: TransactionTiming;
  /** Goes before the request each time that it is sent. */
  readonly ahead?: Sending;
}

interface Tell extends Sending {
  readonly kind: "tell";
  readonly socket: ProbeSocket;
}

/** Asks the default gateway for its external address. */
interface AskGateway {
  readonly kind: "ask-gateway";
}

interface Pause {
  readonly kind: "pause";
  readonly ms: number;
}

/** What is being found out now; for whoever watches. */
export type DiscoveryStage = "reachability" | "ports" | "mapping-and-filtering" | "lengths" | "tcp" | "lifetime";

interface Stage {
  readonly kind: "stage";
  readonly stage: DiscoveryStage;
}

interface Together {
  readonly kind: "together";
  readonly procedures: readonly Procedure<unknown>[];
}

export type Step = Open | Ask | Tell | AskGateway | Pause | Stage | Together;
export type Procedure<T> = Generator<Step, T, unknown>;

/** What came in answer to an `Ask`. */
export interface Answer {
  /** `echo`: the request itself came back, to one of our own sockets. */
  readonly kind: "success" | "error" | "echo";
  readonly from: Readonly<Address>;
  readonly on: ProbeSocketId;
  /** Of an error. */
  readonly code: number;
  /** XOR-MAPPED-ADDRESS, for a classic answer MAPPED-ADDRESS. */
  readonly mapped: Readonly<Address> | undefined;
  /** MAPPED-ADDRESS. */
  readonly plain: Readonly<Address> | undefined;
  readonly other: Readonly<Address> | undefined;
  readonly hasPadding: boolean;
}

/** Nothing was taken; `elsewhere`: but an answer came from an address that it may not come from. */
interface Silence {
  readonly kind: "silence";
  readonly elsewhere: boolean;
}

export type Outcome = Answer | Silence;

/** Undefined when it cannot be opened, or does not connect in time. */
export function* open(step: Open): Procedure<ProbeSocket | undefined> {
  return (yield step) as ProbeSocket | undefined;
}

export function* ask(step: Omit<Ask, "kind">): Procedure<Outcome> {
  return (yield { kind: "ask", ...step }) as Outcome;
}

export function* tell(socket: ProbeSocket, to: Readonly<Address>, message: Uint8Array): Procedure<void> {
  yield { kind: "tell", socket, to, message, hopLimit: undefined };
}

export function* askGateway(): Procedure<Finding<Readonly<Address>>> {
  return (yield { kind: "ask-gateway" }) as Finding<Readonly<Address>>;
}

export function* pause(ms: number): Procedure<void> {
  yield { kind: "pause", ms };
}

export function* enter(stage: DiscoveryStage): Procedure<void> {
  yield { kind: "stage", stage };
}

type Results<P> = { readonly [K in keyof P]: P[K] extends Procedure<infer T> ? T : never };

/** Runs all of them side by side, and goes on when the last is over. */
export function* together<P extends readonly Procedure<unknown>[]>(...procedures: P): Procedure<Results<P>> {
  return (yield { kind: "together", procedures }) as Results<P>;
}
