/** A TURN session and the real server machine on one virtual clock, with a network between them that takes no time. */
import assert from "node:assert/strict";
import { type Address, copyAddress, formatAddress } from "../../../../src/core/base/address.ts";
import { after, type Instant, type UnixSeconds } from "../../../../src/core/base/machine.ts";
import { encodeUtf8 } from "../../../../src/core/base/utf8.ts";
import type { TurnClientConfig } from "../../../../src/core/turn/client/config.ts";
import type { Failure } from "../../../../src/core/turn/client/failure.ts";
import type { TurnClientEvent } from "../../../../src/core/turn/client/outputs.ts";
import { TurnSession, type TurnSessionOutput } from "../../../../src/core/turn/client/turn-session.ts";
import type { ClientPath } from "../../../../src/core/turn/server/client-path.ts";
import type { TurnServerConfig } from "../../../../src/core/turn/server/config.ts";
import { timeLimitedPassword } from "../../../../src/core/turn/server/credentials.ts";
import type { Forward } from "../../../../src/core/turn/server/flow.ts";
import { SeededRandom, testCrypto } from "../../../support/crypto.ts";
import { address, SECRET, textOf, World } from "../server/world.ts";
import { channelData, clientConfig, SERVER } from "./pair.ts";

/** Credentials that end in so many seconds after the world began. */
export function timeLimited(seconds: number): { username: string; password: string } {
  const username = `${1_800_000_000 + seconds}:bob`;
  return { username, password: timeLimitedPassword(testCrypto, SECRET, username) };
}

export class SessionPair {
  readonly world: World;
  readonly session: TurnSession;
  readonly events: TurnClientEvent[] = [];
  /** Why other credentials were asked for. */
  readonly renewals: Failure[] = [];
  /** What came back from the peer, and on which path. */
  readonly heard: { readonly payload: string; readonly path: number }[] = [];
  /** What the peer is sent, and from where. */
  readonly reached: { readonly payload: string; readonly relay: number }[] = [];
  /** Paths that are open, by number, with the port that each is from. */
  readonly paths: Map<number, number> = new Map();
  /** The server hears nothing on a path that is opened from now on. */
  isDown = false;
  readonly #deaf: Set<number> = new Set();
  readonly #todo: (() => void)[] = [];
  readonly #start: number;
  #port = 20_000;

  constructor(client: Partial<TurnClientConfig> = {}, server: Partial<TurnServerConfig> = {}) {
    this.world = new World(server);
    this.#start = this.world.now;
    const wallClock = { now: () => this.world.unix as UnixSeconds };
    const ports = { crypto: testCrypto, random: new SeededRandom(7), wallClock };
    this.session = new TurnSession({ ...clientConfig, renewable: true, ...client }, ports);
  }

  get now(): Instant {
    return this.world.now;
  }

  /** Opens, and wants a channel to `peer`. */
  opened(peer: string): this {
    this.session.open(this.now);
    this.session.bind(address(peer), this.now);
    this.run(1);
    assert.ok(this.session.isLive, JSON.stringify(this.events));
    return this;
  }

  /** Reasons of what was told, in order. */
  get told(): string[] {
    return this.events.flatMap((e) =>
      "failure" in e && e.failure !== undefined ? [`${e.type} ${e.failure.reason}`] : [],
    );
  }

  get relayed(): string[] {
    return this.events.flatMap((e) =>
      e.type === "allocated" ? [formatAddress(e.allocated.relayed[0] as Address)] : [],
    );
  }

  /** Sends a message each second, and says how many came back. */
  converse(peer: string, seconds: number): number {
    const before = this.heard.length;
    for (let i = 0; i < seconds; i++) {
      const data = encodeUtf8(`${i}`);
      const framing = this.session.send(address(peer), data);
      const message = framing?.kind === "channel" ? channelData(framing.number, data) : framing?.data;
      if (message !== undefined) this.#toServer(this.session.sendPath, message);
      this.run(1);
    }
    return this.heard.length - before;
  }

  run(seconds: number): void {
    const end = after(this.now, seconds * 1000);
    this.settle();
    for (;;) {
      const due = [this.session.pollTimeout(), this.world.server.pollTimeout()].filter((at) => at !== undefined);
      if (due.length === 0 || Math.min(...due) > end) break;
      this.#setTime(Math.max(this.now, Math.min(...due)));
      this.world.server.handleTimeout(this.now);
      this.session.handleTimeout(this.now);
      this.settle();
    }
    this.#setTime(end);
  }

  #setTime(now: number): void {
    this.world.now = now as Instant;
    this.world.unix = 1_800_000_000 + Math.floor((now - this.#start) / 1000);
  }

  /** Carries out whatever is asked for, and whatever follows from that. */
  settle(): void {
    for (;;) {
      for (let o = this.session.pollOutput(); o !== undefined; o = this.session.pollOutput()) this.#perform(o);
      this.world.drain();
      for (const { to, data } of this.world.sent.splice(0)) this.#toClient(to.remote.port, data);
      const next = this.#todo.shift();
      if (next === undefined) return;
      next();
    }
  }

  #perform(output: TurnSessionOutput): void {
    // Who drives it stops at the end, and what came after it would be left undone.
    assert.ok(this.events.at(-1)?.type !== "ended", `${output.kind} after the end`);
    if (output.kind === "event") this.events.push(output.event);
    else if (output.kind === "renew") this.renewals.push(output.failure);
    else if (output.kind === "send") this.#toServer(output.path, output.data);
    else if (output.kind === "disconnect") this.paths.delete(output.path);
    else {
      this.paths.set(output.path, ++this.#port);
      if (this.isDown) this.#deaf.add(this.#port);
      this.#todo.push(() => this.session.handleConnected(output.path, this.now));
    }
  }

  #pathOf(port: number): ClientPath {
    return { transport: "udp", listener: 1, local: SERVER, remote: address(`5.6.7.8:${port}`), connection: 0 };
  }

  #toServer(path: number, data: Uint8Array): void {
    const port = this.paths.get(path);
    if (port === undefined || this.#deaf.has(port)) return;
    this.#todo.push(() => {
      const forward = this.world.server.handleClientDatagram(data, data.length, this.#pathOf(port), this.now);
      if (forward !== undefined) this.#forward(forward, data);
    });
  }

  #toClient(port: number, data: Uint8Array): void {
    const path = [...this.paths].find(([, from]) => from === port)?.[0];
    if (path === undefined) return;
    this.#todo.push(() => {
      const incoming = this.session.handleServerDatagram(path, data, data.length, this.now);
      if (incoming === undefined) return;
      this.heard.push({ payload: textOf(data.subarray(incoming.offset, incoming.offset + incoming.length)), path });
    });
  }

  #forward({ flow, offset, length }: Forward, data: Uint8Array): void {
    const payload = data.slice(offset, offset + length);
    if (flow.toward === "client") return this.#toClient(flow.client.remote.port, channelData(flow.channel, payload));
    this.reached.push({ payload: textOf(payload), relay: flow.relay });
    this.fromPeer(payload, copyAddress(flow.peer), flow.relay);
  }

  /** What a peer sends to a relay. */
  fromPeer(payload: Uint8Array, peer: Address, relay: number): void {
    this.#todo.push(() => {
      const back = this.world.server.handlePeerDatagram(
        payload,
        payload.length,
        peer as never,
        relay as never,
        this.now,
      );
      if (back !== undefined) this.#forward(back, payload);
    });
  }
}
