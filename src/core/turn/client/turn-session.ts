/**
 * A TURN client that outlives its credentials, pure. Most of the time it is one `TurnClient` on one path to the server.
 * When other credentials come that have another user name, as time-limited ones do, the allocation cannot take them: then
 * a second client makes another allocation on a second path, with the same permissions and channels, and takes over when
 * all of that is there. The former allocation is heard for a while longer, until peers have learned the new address.
 */
import type { PeerAddress } from "../../base/address.ts";
import { after, type Instant, type Machine } from "../../base/machine.ts";
import { OutputQueue } from "../../base/output-queue.ts";
import type { Ports } from "../../base/ports.ts";
import { ErrorCode } from "../../stun/registry.ts";
import type { TurnClientConfig } from "./config.ts";
import { type Failure, ownFailure, refusal } from "./failure.ts";
import type { Framing } from "./media.ts";
import type { TurnClientEvent, TurnClientOutput } from "./outputs.ts";
import type { ClientDropReason, Incoming } from "./state.ts";
import { TurnClient } from "./turn-client.ts";

/** How long a former allocation is heard for: signalling a new address to a peer takes a second or a few. */
const OVERLAP_MS = 30_000;

/** Which of its paths to the server an output is for, or an input from. They are numbered from 1. */
interface OnPath {
  readonly path: number;
}

export type TurnSessionOutput =
  | (Extract<TurnClientOutput, { kind: "connect" | "disconnect" | "send" }> & OnPath)
  | Extract<TurnClientOutput, { kind: "renew" | "event" }>;

interface Leg extends OnPath {
  readonly client: TurnClient;
  /** When it is closed; undefined: not by itself. */
  closeAt: Instant | undefined;
}

export class TurnSession implements Machine<TurnSessionOutput> {
  readonly #config: TurnClientConfig;
  readonly #outputs: OutputQueue<TurnSessionOutput> = new OutputQueue();
  #current: Leg;
  /** Makes the allocation that is to take over. */
  #next: Leg | undefined;
  /** What it told before it took over. */
  #early: TurnClientEvent[] = [];
  /** Those that were taken over from, and those that were given up, until they have ended. */
  readonly #former: Set<Leg> = new Set();
  #paths = 0;
  #isClosing = false;
  /** Why the current client ended. */
  #ended: Failure | undefined;
  #isOver = false;

  /** Throws `PosternError` `bad-credentials`. */
  constructor(config: TurnClientConfig, ports: Ports) {
    this.#config = config;
    this.#current = this.#leg(new TurnClient(config, ports));
  }

  #leg(client: TurnClient): Leg {
    return { path: ++this.#paths, client, closeAt: undefined };
  }

  /** Whether there is an allocation now. */
  get isLive(): boolean {
    return this.#current.client.isLive;
  }

  /** What the allocation's client has dropped, in either direction, by reason. */
  get drops(): Readonly<Record<ClientDropReason, number>> {
    return this.#current.client.drops;
  }

  /** The path that `send` is for. */
  get sendPath(): number {
    return this.#current.path;
  }

  open(now: Instant): void {
    this.#current.client.open(now);
    this.#drain(now);
  }

  /** The path that `connect` asked for is there. */
  handleConnected(path: number, now: Instant): void {
    this.#find(path)?.client.handleConnected(now);
    this.#drain(now);
  }

  /** The path could not be opened, or was closed, from the other side or by the network. */
  handleDisconnected(path: number, now: Instant): void {
    this.#find(path)?.client.handleDisconnected(now);
    this.#drain(now);
  }

  /** See `TurnClient.handleServerDatagram`. */
  handleServerDatagram(path: number, data: Uint8Array, length: number, now: Instant): Incoming | undefined {
    const incoming = this.#find(path)?.client.handleServerDatagram(data, length, now);
    // Media is never followed by anything.
    if (incoming === undefined) this.#drain(now);
    return incoming;
  }

  permit(peer: PeerAddress, now: Instant): void {
    for (const client of this.#wanting()) client.permit(peer, now);
    this.#drain(now);
  }

  revoke(peer: PeerAddress): void {
    for (const client of this.#wanting()) client.revoke(peer);
  }

  bind(peer: PeerAddress, now: Instant): void {
    for (const client of this.#wanting()) client.bind(peer, now);
    this.#drain(now);
  }

  unbind(peer: PeerAddress): void {
    for (const client of this.#wanting()) client.unbind(peer);
  }

  /** Those that wishes are for. */
  #wanting(): readonly TurnClient[] {
    const { client } = this.#current;
    if (this.#next === undefined) return [client];
    return this.#ended === undefined ? [client, this.#next.client] : [this.#next.client];
  }

  /** See `TurnClient.send`; what it returns goes by `sendPath`. */
  send(peer: PeerAddress, data: Uint8Array): Framing | undefined {
    return this.#current.client.send(peer, data);
  }

  /** Takes other credentials, asked for by `renew` or not. Throws `PosternError` `bad-credentials`. */
  handleCredentials(username: string, password: string, now: Instant): void {
    if (this.#isClosing || this.#isOver) return;
    const isTaken = this.#ended === undefined && this.#current.client.handleCredentials(username, password, now);
    if (this.#next !== undefined) this.#giveUp(this.#next, now);
    this.#next = undefined;
    if (!isTaken) this.#succeed(username, password, now);
    this.#drain(now);
  }

  /** There are no other credentials: what waits for them is refused. */
  handleNoCredentials(now: Instant): void {
    this.#current.client.handleNoCredentials(now);
    this.#drain(now);
  }

  #succeed(username: string, password: string, now: Instant): void {
    // Who wants no other allocation after a loss wants none now: relayed addresses would change.
    if (this.#config.reallocation.attempts === 0) return this.#stay(refusal(ErrorCode.WrongCredentials), now);
    this.#early = [];
    this.#next = this.#leg(this.#current.client.successor(username, password));
    this.#next.client.open(now);
  }

  /** The credentials lead nowhere. */
  #stay(failure: Failure, now: Instant): void {
    this.#tell({ type: "not-renewed", failure });
    this.#current.client.handleNoCredentials(now);
  }

  #giveUp(leg: Leg, now: Instant): void {
    this.#former.add(leg);
    leg.closeAt = undefined;
    leg.client.close(now);
  }

  /** Ends all allocations on the server; the event `ended` follows within seconds. */
  close(now: Instant): void {
    this.#isClosing = true;
    for (const { client } of this.#legs()) client.close(now);
    this.#drain(now);
  }

  pollOutput(): TurnSessionOutput | undefined {
    return this.#outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    // After every packet this is asked, and nothing is allocated for it.
    if (this.#next === undefined && this.#former.size === 0) return this.#current.client.pollTimeout();
    const all = this.#legs().flatMap(({ client, closeAt }) => [client.pollTimeout(), closeAt]);
    return all.reduce((a, b) => (a === undefined || (b !== undefined && b < a) ? b : a));
  }

  handleTimeout(now: Instant): void {
    for (const leg of this.#legs()) {
      if (leg.closeAt !== undefined && leg.closeAt <= now) this.#giveUp(leg, now);
      leg.client.handleTimeout(now);
    }
    this.#drain(now);
  }

  #legs(): Leg[] {
    return this.#next === undefined ? [this.#current, ...this.#former] : [this.#current, this.#next, ...this.#former];
  }

  #find(path: number): Leg | undefined {
    if (this.#current.path === path) return this.#current;
    return this.#legs().find((leg) => leg.path === path);
  }

  /** Takes what the clients ask for and tell, until nothing is left. */
  #drain(now: Instant): void {
    // What one of them tells may make another ask for something.
    for (let hasMore = true; hasMore; ) {
      hasMore = false;
      for (const leg of this.#legs()) {
        const output = leg.client.pollOutput();
        if (output === undefined) continue;
        this.#take(leg, output, now);
        hasMore = true;
      }
    }
    if (this.#next?.client.isSettled) this.#takeOver(this.#next, now);
    else if (this.#ended !== undefined && this.#next === undefined) this.#finish(now);
  }

  #take(leg: Leg, output: TurnClientOutput, now: Instant): void {
    if (output.kind === "event") return this.#hear(leg, output.event, now);
    if (output.kind === "renew") {
      if (leg === this.#current) this.#outputs.push(output);
      return;
    }
    this.#outputs.push({ ...output, path: leg.path });
  }

  #hear(leg: Leg, event: TurnClientEvent, now: Instant): void {
    if (leg === this.#current) return this.#hearCurrent(event);
    if (leg === this.#next) return this.#hearNext(event, now);
    if (event.type === "ended") this.#former.delete(leg);
    // A former allocation that is lost is not missed.
    else if (event.type === "lost") leg.client.close(now);
  }

  #hearCurrent(event: TurnClientEvent): void {
    if (event.type !== "ended") return this.#tell(event);
    this.#ended = event.failure;
    if (this.#next !== undefined && !this.#isClosing) this.#tell({ type: "lost", failure: event.failure, retryIn: 0 });
  }

  #hearNext(event: TurnClientEvent, now: Instant): void {
    if (event.type !== "ended") return void this.#early.push(event);
    this.#next = undefined;
    if (!this.#isClosing && this.#ended === undefined) this.#stay(event.failure, now);
  }

  #takeOver(next: Leg, now: Instant): void {
    const former = this.#current;
    this.#current = next;
    this.#next = undefined;
    for (const leg of this.#former) this.#giveUp(leg, now);
    if (this.#ended === undefined) {
      former.closeAt = after(now, OVERLAP_MS);
      this.#former.add(former);
    }
    this.#ended = undefined;
    for (const event of this.#early.splice(0)) {
      this.#tell(event.type === "allocated" ? { ...event, again: true } : event);
    }
    this.#drain(now);
  }

  /** The last event comes when all has ended. */
  #finish(now: Instant): void {
    if (this.#isOver) return;
    const lingering = [...this.#former].filter(({ closeAt }) => closeAt !== undefined);
    for (const leg of lingering) this.#giveUp(leg, now);
    if (lingering.length > 0) return this.#drain(now);
    if (this.#former.size > 0) return;
    this.#isOver = true;
    this.#tell({ type: "ended", failure: this.#isClosing ? ownFailure("closed") : (this.#ended as Failure) });
  }

  #tell(event: TurnClientEvent): void {
    this.#outputs.push({ kind: "event", event });
  }
}
