/**
 * The SIP edge as one machine: registrar, proxy and media relay of one domain. Messages and packets come in with the flow
 * that they really came by, whatever their headers say; what is to be sent goes out by flows.
 *
 * A request passes four stations: its arrival is marked and its sender found out (`reception.ts`), what it wants is done
 * or its way is chosen (`serving.ts`), the proxy takes it there, and on that way its description of media is exchanged for
 * one that leads through the relay (`carrying.ts`).
 */
import type { Address } from "../base/address.ts";
import type { Instant, Machine } from "../base/machine.ts";
import type { Ports } from "../base/ports.ts";
import type { ServerEndpoint } from "../base/resolution.ts";
import type { MediaRelayOutput, PortId, Route } from "../relay/outputs.ts";
import type { MediaRelayStats } from "../relay/state.ts";
import type { SipFlow } from "../sip/flow.ts";
import { Branch } from "../sip/proxy/fork.ts";
import type { ProxyOutput } from "../sip/proxy/outputs.ts";
import { userOfRecord } from "../sip/registrar/address-of-record.ts";
import type { Binding, BindingRecord } from "../sip/registrar/binding.ts";
import type { RegistrarOutput } from "../sip/registrar/registrar.ts";
import type { ClientTransaction } from "../sip/transaction/client.ts";
import type { TransactionOutput } from "../sip/transaction/outputs.ts";
import type { CallReport } from "./call.ts";
import {
  carry,
  goOn,
  handleAck,
  handleBranchOver,
  handleForkOver,
  handleRelayEvent,
  handleUnreachable,
} from "./carrying.ts";
import type { EdgeConfig, EdgePlaces } from "./config.ts";
import { endCallsOf } from "./hanging-up.ts";
import type { Arrived } from "./media-path.ts";
import type { EdgeOutput, SipKeyQuery, SipUserKeys } from "./outputs.ts";
import { handleKeys, handleText } from "./reception.ts";
import type { RefusalReport } from "./refusals.ts";
import { probeRequest } from "./requests.ts";
import type { Services } from "./services/services.ts";
import { serve } from "./serving.ts";
import { EdgeState, type EdgeStats, earlier, type Probe } from "./state.ts";
import { noteFailure, noteStreamRefused } from "./trunk-ways.ts";

export class SipEdge implements Machine<EdgeOutput> {
  readonly #state: EdgeState;

  constructor(config: EdgeConfig, ports: Ports) {
    this.#state = new EdgeState(config, ports);
  }

  get stats(): Readonly<EdgeStats> {
    return this.#state.stats;
  }

  get mediaStats(): Readonly<MediaRelayStats> {
    return this.#state.relay.stats;
  }

  bindings(): Iterable<Binding> {
    return this.#state.registrar.bindings();
  }

  calls(): CallReport[] {
    return this.#state.calls.reports();
  }

  get callCount(): number {
    return this.#state.calls.size;
  }

  /** Calls that are over, of the last hour, 200 at most; the latest last. */
  endedCalls(now: Instant): CallReport[] {
    return this.#state.calls.ended(now);
  }

  /** Who was refused in the last hour, the latest first. */
  refusals(now: Instant): RefusalReport[] {
    return this.#state.refusals.reports(now);
  }

  /** One message: a binary string, one character a byte. */
  handleText(text: string, flow: SipFlow, now: Instant): void {
    if (flow.connection !== 0) this.#state.connections.add(flow.connection);
    handleText(this.#state, text, flow, now);
    this.#settle(now);
  }

  /** The answer to `lookupKeys`; undefined: there is no such user. */
  handleKeys(query: SipKeyQuery, keys: SipUserKeys | undefined, now: Instant): void {
    handleKeys(this.#state, query, keys, now);
    this.#settle(now);
  }

  /** What was to be sent for this transaction could not be. */
  handleSendFailed(transaction: ClientTransaction, now: Instant): void {
    this.#state.transactions.handleSendFailed(transaction);
    this.#settle(now);
  }

  handleConnectionClosed(connection: number, now: Instant): void {
    this.#state.connections.delete(connection);
    this.#state.trunks.handleConnectionClosed(connection);
    this.#state.registrar.handleConnectionClosed(connection);
    this.#settle(now);
  }

  /** A user has a new password: that user's phones have to register anew. */
  handlePasswordChanged(user: string, now: Instant): void {
    this.#state.registrar.handleUserRemoved(user);
    this.#settle(now);
  }

  /** There is no such user any more: neither phones nor calls. */
  handleUserRemoved(user: string, now: Instant): void {
    endCallsOf(this.#state, user, "user removed", now);
    this.handlePasswordChanged(user, now);
  }

  /** The host's addresses have changed: these are from now on for what begins; what runs stays where it is. */
  handlePlaces({ listeners, relays, own }: EdgePlaces): void {
    this.#state.names.listeners = listeners;
    this.#state.relay.handleAddresses(relays, own);
  }

  /** What the name of a trunk stands for now; what is under way goes on as it began. */
  handleTrunkResolved(name: string, endpoints: readonly ServerEndpoint[]): void {
    this.#state.trunks.handleResolved(name, endpoints);
  }

  /** No call begins any more; those that there are go on. */
  handleDrain(): void {
    this.#state.isDraining = true;
  }

  /** Phones that were registered before a restart. */
  restore(records: Iterable<BindingRecord>, now: Instant): void {
    this.#state.registrar.restore(records, now);
    this.#settle(now);
  }

  handlePortBound(port: PortId, now: Instant): void {
    this.#state.relay.handlePortBound(port, now);
    this.#settle(now);
  }

  handlePortFailed(port: PortId, why: "busy" | "exhausted" | "gone", now: Instant): void {
    this.#state.relay.handlePortFailed(port, why);
    this.#settle(now);
  }

  /** One datagram of media: `data[0, length)`, borrowed. Where it goes; undefined: nowhere. */
  handlePacket(
    data: Uint8Array,
    length: number,
    from: Readonly<Address>,
    port: PortId,
    now: Instant,
  ): Route | undefined {
    const route = this.#state.relay.handlePacket(data, length, from, port, now);
    if (this.#state.relay.hasOutput) this.#settle(now);
    return route;
  }

  /** One that may not go on, for it has no hops left. */
  handleSpent(port: PortId): void {
    this.#state.relay.handleSpent(port);
  }

  /** Whether a packet has left something to be polled. */
  get hasOutput(): boolean {
    return this.#state.outputs.length + this.#state.withdrawals.length > 0;
  }

  pollOutput(): EdgeOutput | undefined {
    const { withdrawals, outputs } = this.#state;
    const first = withdrawals.shift() ?? outputs.shift();
    // It was taken back before it was given.
    return first?.kind === "offload" && first.flow.isOver ? this.pollOutput() : first;
  }

  pollTimeout(): Instant | undefined {
    const { transactions, registrar, proxy, relay, calls, services } = this.#state;
    const soon = earlier(transactions.pollTimeout(), registrar.pollTimeout());
    const later = earlier(proxy.pollTimeout(), relay.pollTimeout());
    return earlier(earlier(soon, later), earlier(calls.deadlines.next, services.pollTimeout()));
  }

  handleTimeout(now: Instant): void {
    const { transactions, registrar, proxy, relay, calls, services } = this.#state;
    for (const machine of [transactions, registrar, proxy, relay, calls, services]) machine.handleTimeout(now);
    this.#settle(now);
  }

  /** Drains the machines within: what one asks for is what another is told. */
  #settle(now: Instant): void {
    const { transactions, proxy, relay, registrar, services, outputs } = this.#state;
    for (;;) {
      const asked = transactions.pollOutput();
      if (asked !== undefined) this.#handleTransaction(asked, now);
      const carried = proxy.pollOutput();
      if (carried !== undefined) this.#handleProxy(carried, now);
      const relayed = relay.pollOutput();
      if (relayed !== undefined) this.#handleRelay(relayed, now);
      const bound = registrar.pollOutput();
      if (bound !== undefined) this.#handleRegistrar(bound, now);
      const served = services.pollOutput();
      if (served?.kind === "media") outputs.push(served);
      else if (served !== undefined) outputs.push({ ...served, by: undefined });
      if ((asked ?? carried ?? relayed ?? bound ?? served) === undefined) return;
    }
  }

  #handleTransaction(output: TransactionOutput, now: Instant): void {
    const { outputs, proxy, services } = this.#state;
    switch (output.kind) {
      case "send":
        outputs.push(output);
        break;
      case "request":
        serve(this.#state, output.transaction, now);
        break;
      case "ack":
        if (!services.handleAck(output.request, now)) handleAck(this.#state, output.request, output.from, now);
        break;
      case "response": {
        if (services.handleResponse(output.transaction, output.response, now)) break;
        const probe = probeOf(output.transaction);
        if (probe === undefined) proxy.handleResponse(output.transaction, output.response, now);
        else this.#state.registrar.handleProbe(probe.binding, true, now);
        break;
      }
      case "failed": {
        if (services.handleFailed(output.transaction, now)) break;
        const probe = probeOf(output.transaction);
        if (probe === undefined) this.#handleFailed(output, now);
        else this.#state.registrar.handleProbe(probe.binding, false, now);
        break;
      }
    }
  }

  #handleFailed({ transaction, why }: Extract<TransactionOutput, { kind: "failed" }>, now: Instant): void {
    const { owner } = transaction;
    if (owner instanceof Branch && !owner.fallsBack(transaction, why)) handleUnreachable(this.#state, owner, now);
    this.#state.proxy.handleFailed(transaction, why, now);
  }

  #handleProxy(output: ProxyOutput, now: Instant): void {
    if (output.kind === "carry") carry(this.#state, output.carriage, now);
    else if (output.kind === "stream-refused") noteStreamRefused(this.#state, output.branch, now);
    else if (output.kind === "branch-over") {
      noteFailure(this.#state, output.branch, now);
      handleBranchOver(this.#state, output.branch);
    } else handleForkOver(this.#state, output.fork, now);
  }

  #handleRelay(output: MediaRelayOutput, now: Instant): void {
    const { media, outputs, services, withdrawals } = this.#state;
    let arrived: Arrived | undefined;
    if (isServices(services, output, now)) return;
    if (output.kind === "described") arrived = media.handleDescribed(output.request, output.document, now);
    else if (output.kind === "undescribed") arrived = media.handleUndescribed(output.request, output.why, now);
    else if (output.kind === "event") handleRelayEvent(this.#state, output.event, now);
    else if (output.kind === "withdraw") withdrawals.push(output);
    else outputs.push(output);
    if (arrived !== undefined) goOn(this.#state, arrived, now);
  }

  #handleRegistrar(output: RegistrarOutput, now: Instant): void {
    const { outputs, calls } = this.#state;
    if (output.kind === "probe") this.#probe(output.binding, now);
    else if (output.kind === "binding") {
      const { what, binding, was } = output;
      // Behind a proxy others are on that flow too, and stay there.
      if (was !== undefined && binding.through === undefined)
        calls.handleMoved(userOfRecord(binding.aor), was, binding.flow);
      if (what === "flow-lost") calls.handleFlowLost(binding.flow, now);
      outputs.push({ kind: "event", event: { type: "binding", what, binding } });
    } else outputs.push(output);
  }

  #probe(binding: Binding, now: Instant): void {
    const { config, ports, transactions, names } = this.#state;
    const owner: Probe = { kind: "probe", binding };
    const sending = { to: binding.flow, sentBy: names.nameFor(binding.flow), owner };
    transactions.request(probeRequest(binding, config.domain, ports.random), sending, now);
  }
}

/** Whether what the relay says is about a call to a service, which has heard it then. */
function isServices(services: Services, output: MediaRelayOutput, now: Instant): boolean {
  if (output.kind === "described") return services.handleDescribed(output.request, output.document, now);
  if (output.kind === "undescribed") return services.handleUndescribed(output.request, now);
  return output.kind === "event" && services.handleRelayEvent(output.event, now);
}

function probeOf({ owner }: Pick<ClientTransaction, "owner">): Probe | undefined {
  const probe = owner as Partial<Probe> | undefined;
  return probe?.kind === "probe" ? (probe as Probe) : undefined;
}
