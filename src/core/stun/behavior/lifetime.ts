/**
 * How long an idle binding lives (RFC 5780 §4.6). Socket X makes a binding and falls silent; after a while socket Y has
 * the server send to that binding. Every round takes a new X, because a NAT may keep a binding longer once it was used.
 */
import type { Address } from "../../base/address.ts";
import { sameIp } from "../../base/address.ts";
import { ErrorCode } from "../registry.ts";
import { mappedOf } from "./mapping.ts";
import type { Probes } from "./probes.ts";
import { type Outcome, open, type ProbeSocket, type Procedure, pause, tell, together } from "./procedure.ts";
import { type BindingLifetime, type Finding, known, type UnknownReason, unknown } from "./report.ts";

/** Seconds. */
export interface LifetimeSearch {
  /** The first try; doubled while bindings live. */
  readonly first: number;
  /** The longest try. */
  readonly longest: number;
  /** The search ends when it knows the lifetime to this many seconds. */
  readonly precision: number;
}

interface Binding {
  readonly socket: ProbeSocket;
  readonly mapped: Readonly<Address>;
}

class LifetimeTest {
  readonly #probes: Probes;
  readonly #server: Readonly<Address>;
  readonly #asker: ProbeSocket;

  constructor(probes: Probes, server: Readonly<Address>, asker: ProbeSocket) {
    this.#probes = probes;
    this.#server = server;
    this.#asker = asker;
  }

  *bind(): Procedure<Binding | undefined> {
    const socket = yield* open({ kind: "open", transport: "udp" });
    const mapped = socket && mappedOf(yield* this.#probes.plain(socket, this.#server));
    return socket && mapped && { socket, mapped };
  }

  knock({ socket, mapped }: Binding): Procedure<Outcome> {
    return this.#probes.elsewhere(this.#asker, this.#server, socket, mapped.port);
  }

  /** RFC 5780 §4.6: it lives if X hears the answer; it is gone if Y does, to which it was given anew, or nobody. */
  *lives(binding: Binding): Procedure<boolean | UnknownReason> {
    const first = this.#judge(yield* this.knock(binding), binding);
    if (first !== "no-answer") return first;
    // Silence is that of the binding only where the server is heard, and the answer was not lost on its way.
    const isHeard = mappedOf(yield* this.#probes.plain(this.#asker, this.#server)) !== undefined;
    const second = isHeard ? this.#judge(yield* this.knock(binding), binding) : first;
    return isHeard && second === "no-answer" ? false : second;
  }

  #judge(outcome: Outcome, { socket }: Binding): boolean | UnknownReason {
    if (outcome.kind === "success") return outcome.on === socket.id;
    if (outcome.kind !== "error") return "no-answer";
    return outcome.code === ErrorCode.ServerError ? "server-busy" : "response-port-unsupported";
  }

  /** A round that tells nothing is repeated. */
  *outlives(seconds: number): Procedure<boolean | UnknownReason> {
    const first = yield* this.#outlivesOnce(seconds);
    return typeof first === "boolean" ? first : yield* this.#outlivesOnce(seconds);
  }

  *#outlivesOnce(seconds: number): Procedure<boolean | UnknownReason> {
    const binding = yield* this.bind();
    if (binding === undefined) return "no-answer";
    yield* pause(seconds * 1000);
    return yield* this.lives(binding);
  }

  /** Whether a binding that is touched halfway lives past its time. */
  *isRefreshedBy(touch: (binding: Binding) => Procedure<unknown>, gap: number): Procedure<Finding<boolean>> {
    const binding = yield* this.bind();
    if (binding === undefined) return unknown("no-answer");
    yield* pause(gap * 1000);
    yield* touch(binding);
    yield* pause(gap * 1000);
    const lives = yield* this.lives(binding);
    return typeof lives === "string" ? unknown(lives) : known(lives);
  }

  outward(gap: number): Procedure<Finding<boolean>> {
    return this.isRefreshedBy(({ socket }) => tell(socket, this.#server, this.#probes.indication()), gap);
  }

  inward(gap: number): Procedure<Finding<boolean>> {
    return this.isRefreshedBy((binding) => this.knock(binding), gap);
  }
}

export function* bindingLifetime(
  probes: Probes,
  server: Readonly<Address>,
  { first, longest, precision }: LifetimeSearch,
): Procedure<Finding<BindingLifetime>> {
  const asker = yield* open({ kind: "open", transport: "udp" });
  if (asker === undefined) return unknown("no-socket");
  const test = new LifetimeTest(probes, server, asker);
  const [mapped, control] = [mappedOf(yield* probes.plain(asker, server)), yield* test.bind()];
  if (mapped === undefined || control === undefined) return unknown("no-answer");
  // The server sends to the address that asks: it must be that of the binding.
  if (!sameIp(mapped, control.mapped)) return unknown("several-public-addresses");
  const proof = yield* test.lives(control);
  if (proof !== true) return unknown(proof === false ? "response-port-unsupported" : proof);
  let atLeast = 0;
  let below: number | undefined;
  for (let next = first; below === undefined || below - atLeast > precision; ) {
    const lives = yield* test.outlives(next);
    if (typeof lives === "string") return unknown(lives);
    if (lives) atLeast = next;
    else below = next;
    if (atLeast >= longest) break;
    next = below === undefined ? Math.min(next * 2, longest) : (atLeast + below) / 2;
  }
  const untested = unknown("not-tested");
  // Two gaps must be longer than the lifetime, and one clearly shorter.
  const gap = below === undefined ? 0 : below * 0.6;
  if (below === undefined || gap >= atLeast) {
    return known({ atLeast, below, refreshedByOutbound: untested, refreshedByInbound: untested });
  }
  const [refreshedByOutbound, refreshedByInbound] = yield* together(test.outward(gap), test.inward(gap));
  return known({ atLeast, below, refreshedByOutbound, refreshedByInbound });
}
