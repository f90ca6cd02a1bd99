/** Gathering (RFC 8445 §5.1.1): host candidates at once, then what STUN servers and relays add, within a budget. */
import { type Address, blankAddress, copyAddress, sameAddress } from "../base/address.ts";
import { PosternError } from "../base/failure.ts";
import { after, type Instant } from "../base/machine.ts";
import type { ClientTransaction } from "../stun/client-transaction.ts";
import { UDP_TIMING } from "../stun/client-transaction.ts";
import { Attribute, MessageClass, Method } from "../stun/registry.ts";
import type { StunView } from "../stun/view.ts";
import { messageId } from "../stun/writer.ts";
import { Base, type BaseId } from "./base.ts";
import type { CandidateType, LocalCandidate } from "./candidate.ts";
import { interleaveFamilies } from "./dual-stack.ts";
import { wake } from "./pacing.ts";
import { pairUpBase } from "./pairing.ts";
import { candidatePriority, MAX_LOCAL_PREFERENCE } from "./priority.ts";
import type { AgentState, Ask, GatherAsk } from "./state.ts";

/** A socket that is bound to an address of the host. */
export interface HostBase {
  readonly base: BaseId;
  readonly stream: number;
  readonly component: number;
  readonly address: Readonly<Address>;
}

/** An allocation on a relay. */
export interface RelayBase extends HostBase {
  /** How the relay is reached: the cheaper, the better. */
  readonly transport: "udp" | "tcp" | "tls";
  /** This host's address, as the relay sees it. */
  readonly mapped: Readonly<Address>;
}

/** Preferences of two sockets differ by this much, so that each may have candidates from several servers between. */
const PREFERENCE_STEP = 16;
/** RFC 8445 §11: the mappings of candidates live on while the peer makes up its mind. */
const KEEPALIVE_MS = 15_000;

const NEVER = Number.NEGATIVE_INFINITY as Instant;

/** How much worse relays are that are reached by streams. */
const TRANSPORT_COST: Readonly<Record<RelayBase["transport"], number>> = { udp: 0, tcp: 0x4000, tls: 0x8000 };

export function refuseTaken(state: AgentState, { base, stream, component }: Omit<HostBase, "address">): void {
  if (state.bases.has(base) || state.pendingRelays.has(base)) {
    throw new PosternError("base-taken", `Base ${base} is in use: give every socket and allocation its own number.`);
  }
  if (!state.stream(stream).components.includes(component)) {
    throw new PosternError("no-such-component", `Stream ${stream} has no component ${component}.`);
  }
}

/** Takes sockets, in order of preference. */
export function addHosts(state: AgentState, hosts: readonly HostBase[], now: Instant): void {
  for (const host of hosts) refuseTaken(state, host);
  for (const host of interleaveFamilies(hosts)) {
    const { base: id, component, address } = host;
    const stream = state.stream(host.stream);
    const rank = [...state.bases.values()].filter(
      (other) => other.kind === "host" && other.stream === stream && other.component === component,
    ).length;
    const preference = Math.max(0, MAX_LOCAL_PREFERENCE - rank * PREFERENCE_STEP);
    const base = new Base(id, "host", stream, component, address, preference);
    state.bases.set(id, base);
    if (state.config.policy === "relay") continue;
    addLocal(state, base, "host", base.address, undefined, 0, now);
    pairUpBase(state, base, now);
    queueQueries(state, base);
  }
  wake(state, now);
}

function queueQueries(state: AgentState, base: Base): void {
  // RFC 8445 §5.2: a lite agent gathers host candidates alone.
  if (state.config.isLite) return;
  for (const server of state.config.stunServers) {
    if (server.family === base.address.family) state.queries.push({ kind: "gather", base, server, sentAt: NEVER });
  }
}

/** A candidate of ours; the one that is known already, where it is redundant (RFC 8445 §5.1.3). */
export function addLocal(
  state: AgentState,
  base: Base,
  type: CandidateType,
  address: Readonly<Address>,
  server: Readonly<Address> | undefined,
  place: number,
  now: Instant,
  related: Readonly<Address> | undefined = type === "host" ? undefined : base.address,
): LocalCandidate {
  const known = state.locals.find((one) => one.base === base && sameAddress(one.address, address));
  if (known !== undefined) return known;
  const candidate: LocalCandidate = {
    foundation: state.foundations.of(type, base.address, server),
    component: base.component,
    priority: candidatePriority(type, Math.max(0, base.localPreference - place), base.component),
    address: copyAddress(address),
    type,
    related,
    base,
    server,
  };
  state.locals.push(candidate);
  // RFC 8838 §8.2: after the end of candidates none is told; the peer finds out by checks.
  if (type !== "prflx" && state.gathering !== "done") tellCandidate(state, candidate, now);
  return candidate;
}

export function tellCandidate(state: AgentState, candidate: LocalCandidate, now: Instant): void {
  const { foundation, component, priority, address, type, related, base } = candidate;
  // RFC 8839 §5.1: with the policy `relay` the related address would give this host away.
  const isHidden = state.config.policy === "relay" && related !== undefined;
  const shown = isHidden ? { ...blankAddress(), family: related.family } : related;
  const told = { foundation, component, priority, address, type, related: shown };
  // A second mapping of the socket adds nothing to where it can be reached.
  if (state.locals.find((one) => one.base === base && one.type === type) === candidate) base.toldAt = now;
  state.tell({ type: "candidate", stream: base.stream.index, candidate: told });
}

export function startGathering(state: AgentState, now: Instant): void {
  state.gathering = "running";
  state.deadlines.set(state.budgetTimer, after(now, state.config.gatheringBudget));
  concludeGathering(state);
}

/** Gathering is done when nothing is under way, or when the budget is spent. */
export function concludeGathering(state: AgentState): void {
  if (state.gathering !== "running" || state.queries.length > 0 || state.pendingRelays.size > 0) return;
  for (const { purpose } of state.transactions.open) if (purpose.kind === "gather") return;
  endGathering(state);
}

export function endGathering(state: AgentState): void {
  state.gathering = "done";
  state.deadlines.clear(state.budgetTimer);
  state.tell({ type: "gathered" });
}

export function sendQuery(state: AgentState, ask: GatherAsk, now: Instant): void {
  const request = state.writer
    .begin(Method.Binding, MessageClass.Request, messageId(state.ports.random.bytes(12)))
    .fingerprint()
    .finish();
  // RFC 8445 §14.3: the RTO for gathering grows with the number of candidates to be asked for.
  const rto = Math.max(UDP_TIMING.rto, state.config.ta * state.queries.length);
  ask.sentAt = now;
  state.transactions.start(request, ask, { ...UDP_TIMING, rto, lastWait: 16 * rto }, now);
  state.outputs.push({ kind: "send", base: ask.base.id, to: ask.server, data: request });
  if (state.keepaliveTimer.heapIndex < 0) state.deadlines.set(state.keepaliveTimer, after(now, KEEPALIVE_MS));
}

const mapped = blankAddress();

/** What a STUN server answers. */
export function handleQueryAnswer(
  state: AgentState,
  transaction: ClientTransaction<Ask>,
  { base, server, sentAt }: GatherAsk,
  at: Base,
  from: Readonly<Address>,
  view: StunView,
  now: Instant,
): void {
  // An answer from elsewhere is somebody's guess: the true one may still come.
  if (at !== base || !sameAddress(from, server)) return void state.drop("unexpected");
  state.transactions.end(transaction);
  if (transaction.sent === 1) state.serverRoundTrip = Math.max(state.serverRoundTrip, now - sentAt);
  const index = view.indexOf(Attribute.XorMappedAddress);
  if (view.class === MessageClass.Success && index >= 0 && view.xorAddressAt(index, mapped)) {
    const place = state.config.stunServers.indexOf(server);
    // A candidate for each mapping: a NAT that maps by destination has several, and the peer may reach any of them.
    if (!base.sightings.some((one) => one.server === server && sameAddress(one.mapped, mapped))) {
      base.sightings.push({ server, mapped: copyAddress(mapped) });
    }
    addLocal(state, base, "srflx", mapped, server, place, now);
  }
  concludeGathering(state);
}

/** RFC 8445 §5.1.1.4: until there is a path, the mappings that candidates stand for are kept alive. */
export function keepCandidatesAlive(state: AgentState, now: Instant): void {
  if (state.lists.length > 0 && state.lists.every((list) => list.isCompleted)) return;
  for (const { base, server } of state.locals.filter(({ type }) => type === "srflx")) {
    if (server !== undefined) state.queries.push({ kind: "gather", base, server, sentAt: NEVER });
  }
  state.deadlines.set(state.keepaliveTimer, after(now, KEEPALIVE_MS));
  wake(state, now);
}

export function addRelay(state: AgentState, relay: RelayBase, now: Instant): void {
  state.pendingRelays.delete(relay.base);
  refuseTaken(state, relay);
  const stream = state.stream(relay.stream);
  const rank = [...state.bases.values()].filter(
    (other) => other.kind === "relay" && other.stream === stream && other.component === relay.component,
  ).length;
  const cost = TRANSPORT_COST[relay.transport] + rank * PREFERENCE_STEP;
  const preference = Math.max(0, MAX_LOCAL_PREFERENCE - cost);
  const base = new Base(relay.base, "relay", stream, relay.component, relay.address, preference);
  state.bases.set(relay.base, base);
  addLocal(state, base, "relay", base.address, undefined, 0, now, copyAddress(relay.mapped));
  pairUpBase(state, base, now);
  wake(state, now);
  concludeGathering(state);
}

/** Sockets are asked about anew, as after a restart: the network may be another. */
export function gatherAgain(state: AgentState, now: Instant): void {
  state.gathering = "running";
  for (const candidate of state.locals) if (candidate.type !== "prflx") tellCandidate(state, candidate, now);
  for (const base of state.bases.values()) {
    if (base.kind === "host" && state.config.policy === "all") queueQueries(state, base);
  }
  startGathering(state, now);
  wake(state, now);
}
