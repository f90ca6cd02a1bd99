/**
 * A TURN client and the real server machine on one virtual clock, with a network between them that loses, delays,
 * reorders and duplicates by seed. `run` drives both until the time is up; nothing sleeps.
 */
import assert from "node:assert/strict";
import { type Address, copyAddress, formatAddress } from "../../../../src/core/base/address.ts";
import { after, type Instant, type UnixSeconds } from "../../../../src/core/base/machine.ts";
import { encodeUtf8 } from "../../../../src/core/base/utf8.ts";
import { encodeChannelHeader } from "../../../../src/core/turn/channel-data.ts";
import type { TurnClientConfig } from "../../../../src/core/turn/client/config.ts";
import type { Allocated, TurnClientEvent, TurnClientOutput } from "../../../../src/core/turn/client/outputs.ts";
import { TurnClient } from "../../../../src/core/turn/client/turn-client.ts";
import type { ClientPath } from "../../../../src/core/turn/server/client-path.ts";
import type { TurnServerConfig } from "../../../../src/core/turn/server/config.ts";
import type { Forward } from "../../../../src/core/turn/server/flow.ts";
import { SeededRandom, testCrypto } from "../../../support/crypto.ts";
import { address, textOf, World } from "../server/world.ts";

export const SERVER = address("9.9.9.1:3478");

export const clientConfig: TurnClientConfig = {
  server: SERVER,
  transport: "udp",
  username: "alice",
  password: "wonderland",
  families: "ipv4",
  lifetime: undefined,
  port: "any",
  reservationToken: undefined,
  keepalive: 25_000,
  reallocation: { attempts: 5, firstDelay: 500, maxDelay: 60_000 },
  renewable: false,
  dontFragment: false,
};

export interface NetworkOptions {
  /** Milliseconds from one end to the other, at least and at most. */
  readonly delay?: readonly [number, number];
  /** One datagram in so many; 0: none. */
  readonly loseOneIn?: number;
  readonly duplicateOneIn?: number;
  readonly seed?: number;
}

/** ChannelData as it stands on the wire. */
export function channelData(channel: number, payload: Uint8Array): Uint8Array {
  const message = new Uint8Array(4 + payload.length);
  encodeChannelHeader(message, 0, channel, payload.length);
  message.set(payload, 4);
  return message;
}

type EventOf<T> = Extract<TurnClientEvent, { type: T }>;

export class Pair {
  world: World;
  readonly client: TurnClient;
  readonly events: TurnClientEvent[] = [];
  /** What the client received from peers. */
  readonly heard: { readonly peer: string; readonly payload: string }[] = [];
  /** What peers received. */
  readonly reached: { readonly peer: string; readonly payload: string; readonly byChannel: boolean }[] = [];
  /** Everything that the client sent to the server. */
  readonly sent: Uint8Array[] = [];
  /** And when, in seconds from the start. */
  readonly sentAt: number[] = [];
  /** Peers send back what they get. */
  echo = true;
  /** The network passes nothing. */
  isDown = false;
  /** The client's address on the outside; a NAT may change it. */
  remote: Address = address("5.6.7.8:20000");
  readonly #transport: ClientPath["transport"];
  readonly #network: Required<NetworkOptions>;
  readonly #random: SeededRandom;
  readonly #start: { readonly now: Instant; readonly unix: number };
  #connection = 0;
  #isConnected = false;
  #travelling: { readonly at: number; readonly arrive: () => void }[] = [];

  constructor(
    client: Partial<TurnClientConfig> = {},
    server: Partial<TurnServerConfig> = {},
    network: NetworkOptions = {},
  ) {
    this.#network = { delay: [10, 10], loseOneIn: 0, duplicateOneIn: 0, seed: 1, ...network };
    this.#random = new SeededRandom(this.#network.seed);
    this.world = new World(server, this.#network.seed);
    this.#start = { now: this.world.now, unix: this.world.unix };
    const config = { ...clientConfig, ...client };
    this.#transport = config.transport;
    const wallClock = { now: () => this.world.unix as UnixSeconds };
    this.client = new TurnClient(config, {
      crypto: testCrypto,
      random: new SeededRandom(98 + this.#network.seed),
      wallClock,
    });
  }

  get now(): Instant {
    return this.world.now;
  }

  /** Another server at the same place: it knows nothing of what was. */
  restartServer(config: Partial<TurnServerConfig> = {}): void {
    const { now, unix, users } = this.world;
    this.world = new World({ nonceKeys: [encodeUtf8("fedcba9876543210")], ...config }, 77);
    this.world.now = now;
    this.world.unix = unix;
    for (const [name, password] of users) this.world.users.set(name, password);
  }

  /** Opens, runs for a second, and expects an allocation. */
  allocated(): Allocated {
    this.client.open(this.now);
    this.run(1);
    const event = this.last("allocated");
    assert.ok(event, `no allocation: ${JSON.stringify(this.events)}`);
    return event.allocated;
  }

  last<T extends TurnClientEvent["type"]>(type: T): EventOf<T> | undefined {
    return this.events.findLast((event) => event.type === type) as EventOf<T> | undefined;
  }

  all<T extends TurnClientEvent["type"]>(type: T): EventOf<T>[] {
    return this.events.filter((event) => event.type === type) as EventOf<T>[];
  }

  /** Reasons of `lost` and `ended`, in order. */
  get losses(): string[] {
    return this.events.flatMap((e) =>
      e.type === "lost" || e.type === "ended" ? [`${e.type} ${e.failure.reason}`] : [],
    );
  }

  send(peer: string, payload: string): boolean {
    const data = encodeUtf8(payload);
    const framing = this.client.send(address(peer), data);
    if (framing === undefined) return false;
    this.#toServer(framing.kind === "channel" ? channelData(framing.number, data) : framing.data);
    return true;
  }

  /** The stream to the server breaks. */
  breakStream(): void {
    this.#isConnected = false;
    this.world.server.handleClientClosed(this.#path, this.now);
    this.client.handleDisconnected(this.now);
    this.#settle();
  }

  get #path(): ClientPath {
    return {
      transport: this.#transport,
      listener: 1,
      local: SERVER,
      remote: copyAddress(this.remote),
      connection: this.#transport === "udp" ? 0 : this.#connection,
    };
  }

  /** Lets `seconds` pass. */
  run(seconds: number): void {
    const end = after(this.now, seconds * 1000);
    this.#settle();
    for (;;) {
      const arrival = this.#travelling[0]?.at;
      const due = [arrival, this.client.pollTimeout(), this.world.server.pollTimeout()].filter(
        (at) => at !== undefined,
      );
      const next = Math.min(...due);
      if (due.length === 0 || next > end) break;
      this.#setTime(Math.max(this.now, next));
      if (arrival !== undefined && arrival <= this.now) this.#travelling.shift()?.arrive();
      this.world.server.handleTimeout(this.now);
      this.client.handleTimeout(this.now);
      this.#settle();
    }
    this.#setTime(end);
  }

  #setTime(now: number): void {
    this.world.now = now as Instant;
    this.world.unix = this.#start.unix + Math.floor((now - this.#start.now) / 1000);
  }

  #settle(): void {
    for (let o = this.client.pollOutput(); o !== undefined; o = this.client.pollOutput()) this.#perform(o);
    this.world.drain();
    for (const { to, data } of this.world.sent.splice(0)) this.#toClient(to, data);
  }

  #perform(output: TurnClientOutput): void {
    if (output.kind === "event") this.events.push(output.event);
    else if (output.kind === "send") this.#toServer(output.data);
    else if (output.kind === "disconnect") this.#close();
    else this.#connect();
  }

  #close(): void {
    if (this.#isConnected && this.#transport !== "udp") this.world.server.handleClientClosed(this.#path, this.now);
    this.#isConnected = false;
  }

  #connect(): void {
    this.#close();
    this.remote = { ...this.remote, port: this.remote.port + 1 };
    this.#connection++;
    this.#travel(() => {
      if (this.isDown && this.#transport !== "udp") return this.client.handleDisconnected(this.now);
      this.#isConnected = true;
      this.client.handleConnected(this.now);
    });
  }

  #toServer(data: Uint8Array): void {
    this.sent.push(data);
    this.sentAt.push((this.now - this.#start.now) / 1000);
    const path = this.#path;
    this.#cross(() => {
      const forward = this.world.server.handleClientDatagram(data, data.length, path, this.now);
      if (forward !== undefined) this.#forward(forward, data);
    });
  }

  #toClient(to: ClientPath, data: Uint8Array): void {
    const isHere = (): boolean => formatAddress(to.remote) === formatAddress(this.remote) && this.#isConnected;
    this.#cross(() => {
      if (!isHere()) return;
      const incoming = this.client.handleServerDatagram(data, data.length, this.now);
      if (incoming === undefined) return;
      const payload = textOf(data.subarray(incoming.offset, incoming.offset + incoming.length));
      this.heard.push({ peer: formatAddress(incoming.peer), payload });
    });
  }

  #forward({ flow, offset, length }: Forward, data: Uint8Array): void {
    const payload = data.slice(offset, offset + length);
    if (flow.toward === "client") return this.#toClient(flow.client, channelData(flow.channel, payload));
    const { relay } = flow;
    const peer = copyAddress(flow.peer);
    this.reached.push({ peer: formatAddress(peer), payload: textOf(payload), byChannel: flow.channel !== 0 });
    if (!this.echo) return;
    this.#cross(() => {
      const back = this.world.server.handlePeerDatagram(payload, payload.length, peer, relay, this.now);
      if (back !== undefined) this.#forward(back, payload);
    });
  }

  /** One datagram on its way; on a stream nothing is lost, and all come in order. */
  #cross(arrive: () => void): void {
    if (this.isDown) return;
    const { loseOneIn, duplicateOneIn } = this.#network;
    const isStream = this.#transport !== "udp";
    if (!isStream && loseOneIn > 0 && this.#random.oneIn(loseOneIn)) return;
    this.#travel(arrive);
    if (!isStream && duplicateOneIn > 0 && this.#random.oneIn(duplicateOneIn)) this.#travel(arrive);
  }

  #travel(arrive: () => void): void {
    const [least, most] = this.#network.delay;
    const isStream = this.#transport !== "udp";
    const at = this.now + (isStream ? most : least + this.#random.below(most - least + 1));
    this.#travelling.push({ at, arrive });
    this.#travelling.sort((a, b) => a.at - b.at);
  }
}
