/**
 * A TURN server on a virtual clock, and clients that speak to it. Sockets are opened at once unless a test takes them
 * over; keys are looked up in `users`; what the server sends is kept until somebody reads it.
 */
import assert from "node:assert/strict";
import { type Address, blankAddress, formatAddress, parseIp } from "../../../../src/core/base/address.ts";
import { after, type Instant, type UnixSeconds } from "../../../../src/core/base/machine.ts";
import type { Ports } from "../../../../src/core/base/ports.ts";
import { encodeUtf8 } from "../../../../src/core/base/utf8.ts";
import { longTermKey, userhash } from "../../../../src/core/stun/credentials.ts";
import { hasIntegritySha1, hasIntegritySha256 } from "../../../../src/core/stun/integrity.ts";
import { Attribute, MessageClass, Method, PasswordAlgorithmNumber } from "../../../../src/core/stun/registry.ts";
import { StunView } from "../../../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../../../src/core/stun/writer.ts";
import type { ClientPath } from "../../../../src/core/turn/server/client-path.ts";
import type { SharedSecret, TurnServerConfig } from "../../../../src/core/turn/server/config.ts";
import { timeLimitedPassword } from "../../../../src/core/turn/server/credentials.ts";
import type { Flow, RelayId } from "../../../../src/core/turn/server/flow.ts";
import type { TurnServerEvent, TurnServerOutput, UserKeys } from "../../../../src/core/turn/server/outputs.ts";
import type { Shard } from "../../../../src/core/turn/server/shard.ts";
import { TurnServer } from "../../../../src/core/turn/server/turn-server.ts";
import { SeededRandom, testCrypto } from "../../../support/crypto.ts";

export const REALM = "example.org";
export const PEER = "8.8.4.4";
export const PEER6 = "2a00:1450::1";

/** Parses `1.2.3.4:5` or `[2001:db8::1]:5`. */
export function address(text: string): Address {
  const match = /^\[?([^\]]+)\]?:(\d+)$/.exec(text);
  const parsed = match === null ? undefined : parseIp(match[1] as string, Number(match[2]));
  assert.ok(parsed, `${text} is an address`);
  return parsed;
}

export const SECRET: SharedSecret = { secret: encodeUtf8("north wind"), hash: "sha1" };

export const baseConfig: TurnServerConfig = {
  realm: REALM,
  relays: [
    { bound: address("9.9.9.1:0"), advertised: address("9.9.9.1:0") },
    { bound: address("[2a01:4f8::1]:0"), advertised: address("[2a01:4f8::1]:0") },
  ],
  ownAddresses: [address("9.9.9.1:0"), address("[2a01:4f8::1]:0")],
  relayPorts: { min: 50000, max: 50099 },
  sharedSecrets: [],
  sessionBeyondExpiry: 43_200,
  users: true,
  usernameAnonymity: false,
  lifetime: { default: 600, max: 3600 },
  channelRange: "rfc8656",
  alternateServers: [],
  software: undefined,
  nonceKeys: [encodeUtf8("0123456789abcdef")],
  nonceLifetime: 3600,
  quotas: {
    allocations: 1000,
    allocationsPerUser: 100,
    allocationsPerSource: 100,
    permissions: 16,
    channels: 8,
    newPeersPerSecond: 100,
    bytesPerSecond: 0,
  },
  budgets: { unauthenticatedPerSecond: 1000, requestsPerSecond: 1000 },
  peers: { allow: [], deny: [], ports: undefined },
  dontFragment: false,
};

export interface Datagram {
  readonly to: ClientPath;
  readonly data: Uint8Array;
}

export type ShardOutput = Extract<TurnServerOutput, { kind: "tell" | "handOverRelay" | "adoptRelay" | "declineRelay" }>;

export type RelayFate = "bound" | "busy" | "exhausted" | "gone" | "late";

export class World {
  now: Instant = 1000 as Instant;
  unix: number = 1_800_000_000;
  readonly server: TurnServer;
  readonly sent: Datagram[] = [];
  readonly events: TurnServerEvent[] = [];
  readonly hints: string[] = [];
  /** What a datapath does with them. */
  onHint: (kind: "offload" | "withdraw", flow: Flow) => void = () => {};
  /** Open relay sockets by identifier. */
  readonly relays: Map<RelayId, Readonly<Address>> = new Map();
  /** Relays whose opening a test has to decide. */
  readonly waiting: RelayId[] = [];
  readonly users: Map<string, string> = new Map([["alice", "wonderland"]]);
  /** What happens to the next sockets asked for; the last word stays. */
  fates: RelayFate[] = ["bound"];
  /** Key look-ups are left alone when false. */
  answerLookups = true;
  readonly lookups: Extract<TurnServerOutput, { kind: "lookupKey" }>[] = [];
  /** How full the queue is that the next datagrams from clients come out of; undefined: nobody can tell. */
  fill: number | undefined;
  readonly ports: Ports;

  /** What it asks of other shards, where it has some. */
  onShards: (output: ShardOutput) => void = () => assert.fail("this server is alone");
  /** After everything that was asked for is done. */
  onDrained: () => void = () => {};

  constructor(config: Partial<TurnServerConfig> = {}, seed = 1, shard?: Shard) {
    this.ports = {
      crypto: testCrypto,
      random: new SeededRandom(seed),
      wallClock: { now: () => this.unix as UnixSeconds },
    };
    this.server = new TurnServer({ ...baseConfig, ...config }, this.ports, shard);
  }

  /** Lets time pass, on both clocks, firing what falls due on the way. */
  advance(seconds: number): void {
    const end = after(this.now, seconds * 1000);
    const start = this.now;
    const unix = this.unix;
    for (;;) {
      const due = this.server.pollTimeout();
      if (due === undefined || due > end) break;
      this.now = Math.max(this.now, due) as Instant;
      this.unix = unix + Math.floor((this.now - start) / 1000);
      this.server.handleTimeout(this.now);
      this.drain();
    }
    this.now = end;
    this.unix = unix + seconds;
    this.server.handleTimeout(end);
    this.drain();
  }

  drain(): void {
    for (let o = this.server.pollOutput(); o !== undefined; o = this.server.pollOutput()) this.#carryOut(o);
    this.onDrained();
  }

  #carryOut(output: TurnServerOutput): void {
    if (output.kind === "send") this.sent.push({ to: output.to, data: output.data });
    else if (output.kind === "event") this.events.push(output.event);
    else if (output.kind === "bindRelay") this.#bind(output.relay, output.address);
    else if (output.kind === "releaseRelay") assert.ok(this.relays.delete(output.relay), "an open relay is released");
    else if (output.kind === "lookupKey") this.#lookup(output);
    else if ("flow" in output) {
      this.hints.push(`${output.kind} ${output.flow.channel.toString(16)} to ${output.flow.toward}`);
      this.onHint(output.kind, output.flow);
    } else this.onShards(output);
  }

  #bind(relay: RelayId, at: Readonly<Address>): void {
    const fate = (this.fates.length > 1 ? this.fates.shift() : this.fates[0]) as RelayFate;
    if (fate === "late") this.waiting.push(relay);
    else if (fate !== "bound") this.server.handleRelayFailed(relay, fate, this.now);
    else {
      assert.ok(![...this.relays.values()].some((a) => formatAddress(a) === formatAddress(at)), "the port is free");
      this.relays.set(relay, at);
      this.server.handleRelayBound(relay, this.now);
    }
  }

  /** Opens a socket that was `late`. */
  bindNow(relay: RelayId, at: Readonly<Address> = blankAddress()): void {
    this.relays.set(relay, at);
    this.server.handleRelayBound(relay, this.now);
    this.drain();
  }

  #lookup(output: Extract<TurnServerOutput, { kind: "lookupKey" }>): void {
    this.lookups.push(output);
    if (!this.answerLookups) return;
    const { user } = output;
    const name = [...this.users.keys()].find((n) =>
      "username" in user ? n === user.username : Buffer.compare(userhash(testCrypto, n, REALM), user.userhash) === 0,
    );
    this.server.handleKey(output.query, name === undefined ? undefined : this.keysOf(name), this.now);
  }

  keysOf(username: string): UserKeys {
    const password = this.users.get(username) as string;
    const key = (algorithm: PasswordAlgorithmNumber): Uint8Array =>
      longTermKey(testCrypto, algorithm, username, REALM, password);
    return { username, md5: key(PasswordAlgorithmNumber.Md5), sha256: key(PasswordAlgorithmNumber.Sha256) };
  }

  /** The relay identifier of the open socket at this port. */
  relayAt(port: number): RelayId {
    for (const [id, at] of this.relays) if (at.port === port) return id;
    return assert.fail(`no relay at port ${port}`);
  }

  /** A datagram from a peer to a relayed address. */
  fromPeer(peer: string, relayPort: number, payload: string): { channel: number; payload: string } | undefined {
    const data = encodeUtf8(payload);
    const out = this.server.handlePeerDatagram(data, data.length, address(peer), this.relayAt(relayPort), this.now);
    this.drain();
    if (out === undefined) return undefined;
    return { channel: out.flow.channel, payload: textOf(data.subarray(out.offset, out.offset + out.length)) };
  }
}

export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("utf8");
}

/** An answer, decoded. */
export class Answer {
  readonly view: StunView = new StunView();
  readonly data: Uint8Array;

  constructor(data: Uint8Array) {
    this.data = data;
    assert.equal(this.view.decode(data), undefined, "the answer is a STUN message");
  }

  get code(): number {
    const value = this.view.bytes(Attribute.ErrorCode);
    return value === undefined ? 0 : (value[2] as number) * 100 + (value[3] as number);
  }

  get ok(): boolean {
    return this.view.class === MessageClass.Success;
  }

  addresses(type: number): Address[] {
    const list: Address[] = [];
    for (let i = 0; i < this.view.attributeCount; i++) {
      if (this.view.typeAt(i) !== type) continue;
      const a = blankAddress();
      assert.ok(this.view.xorAddressAt(i, a));
      list.push(a);
    }
    return list;
  }

  get relayed(): Address[] {
    return this.addresses(Attribute.XorRelayedAddress);
  }

  get lifetime(): number {
    return this.view.u32(Attribute.Lifetime) as number;
  }
}

export type Build = (writer: StunWriter) => unknown;

export interface ClientOptions {
  username?: string;
  password?: string;
  algorithm?: "none" | "md5" | "sha256";
  hash?: "sha1" | "sha256";
  transport?: ClientPath["transport"];
  connection?: number;
  hideName?: boolean;
  local?: string;
}

let transactions = 0;

/** A client on one 5-tuple. Gets its nonce when it needs one. */
export class Client {
  readonly world: World;
  readonly path: ClientPath;
  username: string;
  password: string;
  algorithm: "none" | "md5" | "sha256";
  hash: "sha1" | "sha256";
  hideName: boolean;
  nonce: string | undefined;
  realm: string = REALM;
  /** The last request, for retransmission. */
  last: Uint8Array = new Uint8Array(0);
  shaLength = 32;

  constructor(world: World, at = "5.6.7.8:1000", options: ClientOptions = {}) {
    this.world = world;
    this.path = {
      transport: options.transport ?? "udp",
      listener: 1,
      local: address(options.local ?? "9.9.9.1:3478"),
      remote: address(at),
      connection: options.connection ?? 0,
    };
    this.username = options.username ?? "alice";
    this.password = options.password ?? "wonderland";
    this.algorithm = options.algorithm ?? "none";
    this.hash = options.hash ?? (options.algorithm === "sha256" ? "sha256" : "sha1");
    this.hideName = options.hideName ?? false;
  }

  /** A client with a time-limited name made with `secret`. */
  static timeLimited(world: World, at: string, expiry: number, secret: SharedSecret = SECRET, user = "bob"): Client {
    const username = `${expiry}:${user}`;
    return new Client(world, at, { username, password: timeLimitedPassword(testCrypto, secret, username) });
  }

  /** Bytes to the server; every answer that came back to this client. */
  raw(data: Uint8Array): Answer[] {
    const { world } = this;
    const before = world.sent.length;
    const out = world.server.handleClientDatagram(data, data.length, this.path, world.now, world.fill);
    assert.equal(out, undefined, "a request is no media");
    world.drain();
    return world.sent
      .slice(before)
      .filter(({ to }) => to.connection === this.path.connection)
      .filter(({ to }) => formatAddress(to.remote) === formatAddress(this.path.remote))
      .map(({ data: answer }) => new Answer(answer));
  }

  /** An unauthenticated message. */
  plain(method: number, build?: Build, messageClass: MessageClass = MessageClass.Request): Uint8Array {
    const writer = new StunWriter().begin(method, messageClass, this.#id());
    build?.(writer);
    return writer.finish();
  }

  #id(): Uint8Array {
    const id = new Uint8Array(12);
    new DataView(id.buffer).setUint32(8, ++transactions);
    return messageId(id);
  }

  get key() {
    const number = this.algorithm === "sha256" ? PasswordAlgorithmNumber.Sha256 : PasswordAlgorithmNumber.Md5;
    return testCrypto.importKey(longTermKey(testCrypto, number, this.username, this.realm, this.password));
  }

  /** Gets a nonce from the server's challenge. */
  challenge(): Answer {
    const [answer] = this.raw(this.plain(Method.Allocate, (w) => w.u32(Attribute.RequestedTransport, 17 << 24)));
    assert.ok(answer);
    assert.equal(answer.code, 401);
    this.nonce = answer.view.text(Attribute.Nonce, 763);
    return answer;
  }

  /** A sealed request's bytes. */
  sealed(method: number, build?: Build): Uint8Array {
    if (this.nonce === undefined) this.challenge();
    const writer = new StunWriter().begin(method, MessageClass.Request, this.#id());
    build?.(writer);
    if (this.hideName) writer.bytes(Attribute.Userhash, userhash(testCrypto, this.username, REALM));
    else writer.text(Attribute.Username, this.username);
    writer.text(Attribute.Realm, this.realm).text(Attribute.Nonce, this.nonce as string);
    if (this.algorithm !== "none") {
      writer.bytes(Attribute.PasswordAlgorithms, Uint8Array.of(0, 2, 0, 0, 0, 1, 0, 0));
      writer.bytes(Attribute.PasswordAlgorithm, Uint8Array.of(0, this.algorithm === "sha256" ? 2 : 1, 0, 0));
    }
    return this.seal(writer).finish();
  }

  seal(writer: StunWriter): StunWriter {
    if (this.hash === "sha256") return writer.integritySha256(testCrypto, this.key, this.shaLength);
    return writer.integritySha1(testCrypto, this.key);
  }

  /** An authenticated request and its one answer. Success must be sealed with our key. */
  request(method: number, build?: Build): Answer {
    this.last = this.sealed(method, build);
    const answers = this.raw(this.last);
    assert.equal(answers.length, 1, "one answer");
    const answer = answers[0] as Answer;
    if (answer.ok) {
      const sealed = this.hash === "sha256" ? hasIntegritySha256 : hasIntegritySha1;
      assert.ok(sealed(answer.view, testCrypto, this.key), "the answer is sealed with the client's key");
    }
    return answer;
  }

  allocate(build?: Build): Answer {
    return this.request(Method.Allocate, (w) => {
      w.u32(Attribute.RequestedTransport, 17 << 24);
      build?.(w);
    });
  }

  /** Allocates and returns the relayed port. */
  allocated(build?: Build): number {
    const answer = this.allocate(build);
    assert.equal(answer.code, 0);
    return (answer.relayed[0] as Address).port;
  }

  refresh(lifetime?: number, build?: Build): Answer {
    return this.request(Method.Refresh, (w) => {
      if (lifetime !== undefined) w.u32(Attribute.Lifetime, lifetime);
      build?.(w);
    });
  }

  permit(...peers: readonly string[]): Answer {
    return this.request(Method.CreatePermission, (w) => {
      for (const peer of peers)
        w.xorAddress(Attribute.XorPeerAddress, address(`${peer.includes(":") ? `[${peer}]` : peer}:0`));
    });
  }

  bind(channel: number, peer: string): Answer {
    return this.request(Method.ChannelBind, (w) => {
      w.u32(Attribute.ChannelNumber, channel << 16);
      w.xorAddress(Attribute.XorPeerAddress, address(peer));
    });
  }

  /** ChannelData; where it went: `peer` or `client`, the address, and the payload. */
  channelData(channel: number, payload: string): Media | undefined {
    const body = encodeUtf8(payload);
    const data = new Uint8Array(4 + body.length);
    new DataView(data.buffer).setUint16(0, channel);
    new DataView(data.buffer).setUint16(2, body.length);
    data.set(body, 4);
    return this.media(data);
  }

  /** A Send indication. */
  send(peer: string, payload: string, build?: Build): Media | undefined {
    const data = this.plain(
      Method.Send,
      (w) => {
        w.xorAddress(Attribute.XorPeerAddress, address(peer)).bytes(Attribute.Data, encodeUtf8(payload));
        build?.(w);
      },
      MessageClass.Indication,
    );
    return this.media(data);
  }

  media(data: Uint8Array): Media | undefined {
    const { world } = this;
    const out = world.server.handleClientDatagram(data, data.length, this.path, world.now, world.fill);
    world.drain();
    if (out === undefined) return undefined;
    const { flow } = out;
    const to = flow.toward === "peer" ? flow.peer : flow.client.remote;
    const payload = textOf(data.subarray(out.offset, out.offset + out.length));
    return { toward: flow.toward, to: formatAddress(to), channel: flow.channel, payload };
  }
}

export interface Media {
  readonly toward: "peer" | "client";
  readonly to: string;
  readonly channel: number;
  readonly payload: string;
}
