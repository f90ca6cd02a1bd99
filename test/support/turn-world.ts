/**
 * The TURN server core on a virtual clock, with a driver that opens sockets and finds keys at once unless told
 * otherwise. Nothing is random but by seed, nothing waits.
 *
 *   const world = new World();
 *   const client = world.client();
 *   const { relayed } = client.allocate();
 */
import assert from "node:assert/strict";
import {
  type Address,
  blankAddress,
  copyAddress,
  ipv4,
  type PeerAddress,
  parseIp,
} from "../../src/core/base/address.ts";
import { encodeBase64 } from "../../src/core/base/base64.ts";
import { after, type Instant, type UnixSeconds } from "../../src/core/base/machine.ts";
import type { Crypto, HmacKey } from "../../src/core/base/ports.ts";
import { encodeUtf8 } from "../../src/core/base/utf8.ts";
import { longTermKey, userhash } from "../../src/core/stun/credentials.ts";
import { Attribute, MessageClass, Method, PasswordAlgorithmNumber } from "../../src/core/stun/registry.ts";
import { StunView } from "../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../src/core/stun/writer.ts";
import { encodeChannelHeader } from "../../src/core/turn/channel-data.ts";
import type { ClientPath } from "../../src/core/turn/server/client-path.ts";
import type { SharedSecret, TurnServerConfig } from "../../src/core/turn/server/config.ts";
import type { Forward, RelayId } from "../../src/core/turn/server/flow.ts";
import type { TurnServerEvent, TurnServerOutput, UserKeys } from "../../src/core/turn/server/outputs.ts";
import { TurnServer } from "../../src/core/turn/server/turn-server.ts";
import { testCrypto as crypto, SeededRandom } from "./crypto.ts";

export const REALM = "example.org";
export const SECRET: SharedSecret = { secret: encodeUtf8("a secret shared with the application"), hash: "sha1" };
const WALL_START = 1_800_000_000;

export function ip(text: string, port = 0): Address {
  const address = parseIp(text, port);
  assert.ok(address, `${text} is no IP address`);
  return address;
}

function relayAddress(bound: string, advertised = bound) {
  return { bound: ip(bound), advertised: ip(advertised) };
}

/** A server with an address of each family, users and no shared secret, and limits that do not get in the way. */
export const CONFIG: TurnServerConfig = {
  realm: REALM,
  relays: [relayAddress("5.5.5.1"), relayAddress("2a05::1")],
  ownAddresses: [ip("5.5.5.1"), ip("2a05::1"), ip("5.5.5.2")],
  relayPorts: { min: 50_000, max: 50_999 },
  sharedSecrets: [],
  sessionBeyondExpiry: 43_200,
  users: true,
  usernameAnonymity: false,
  lifetime: { default: 600, max: 3600 },
  channelRange: "rfc8656",
  alternateServers: [],
  software: undefined,
  nonceKeys: [encodeUtf8("a key for nonces, 32 bytes of it")],
  nonceLifetime: 3600,
  quotas: {
    allocations: 1000,
    allocationsPerUser: 1000,
    allocationsPerSource: 1000,
    permissions: 64,
    channels: 64,
    newPeersPerSecond: 1000,
    bytesPerSecond: 0,
  },
  budgets: { unauthenticatedPerSecond: 1e6, requestsPerSecond: 1e6 },
  peers: { allow: [], deny: [], ports: undefined },
  dontFragment: true,
};

export function keysOf(username: string, password: string): UserKeys {
  const { Md5, Sha256 } = PasswordAlgorithmNumber;
  return {
    username,
    md5: longTermKey(crypto, Md5, username, REALM, password),
    sha256: longTermKey(crypto, Sha256, username, REALM, password),
  };
}

export function udpPath(text = "8.8.4.4", port = 40_000): ClientPath {
  const remote = ip(text, port);
  const local = remote.family === 4 ? ip("5.5.5.1", 3478) : ip("2a05::1", 3478);
  return { transport: "udp", listener: remote.family === 4 ? 0 : 1, local, remote, connection: 0 };
}

export function tcpPath(connection: number, text = "8.8.4.4", port = 40_000): ClientPath {
  return { ...udpPath(text, port), transport: "tcp", listener: 2, connection };
}

export type SendOutput = Extract<TurnServerOutput, { kind: "send" }>;

export class World {
  readonly server: TurnServer;
  readonly random: SeededRandom;
  now: Instant = 1_000_000 as Instant;
  /** Added to the wall clock, in seconds. */
  wallOffset = 0;
  readonly users = new Map<string, string>([
    ["alice", "alice's password"],
    ["bob", "bob's password"],
  ]);
  /** Outputs in order; `takeOutputs` empties it. */
  #outputs: TurnServerOutput[] = [];
  /** How sockets answer. */
  bind: (relay: RelayId, address: Readonly<Address>) => "bound" | "busy" | "exhausted" | "gone" | "later" = () =>
    "bound";
  /** Whether keys are found at once. */
  answersKeys = true;
  /** Hashes and HMACs that the server has asked for. */
  cryptoCalls = 0;
  /** Sockets that are open: relay ID to address. */
  readonly sockets = new Map<RelayId, Readonly<Address>>();
  /** Sockets asked for and neither open nor failed. */
  readonly opening = new Map<RelayId, Readonly<Address>>();
  readonly lookups: Extract<TurnServerOutput, { kind: "lookupKey" }>[] = [];

  constructor(config: Partial<TurnServerConfig> = {}, seed = 1) {
    this.random = new SeededRandom(seed);
    const wallClock = { now: () => this.wall };
    const ports = { crypto: this.#counted(), random: this.random, wallClock };
    this.server = new TurnServer({ ...CONFIG, ...config }, ports);
  }

  #counted(): Crypto {
    const counted = <A extends unknown[], R>(call: (...args: A) => R) => {
      return (...args: A): R => {
        this.cryptoCalls++;
        return call(...args);
      };
    };
    const { md5, sha256, hashText, importKey, hmacSha1, hmacSha256 } = crypto;
    return {
      md5: counted(md5),
      sha256: counted(sha256),
      hashText: counted(hashText),
      importKey,
      hmacSha1: counted(hmacSha1),
      hmacSha256: counted(hmacSha256),
    };
  }

  get wall(): UnixSeconds {
    return (WALL_START + this.wallOffset + Math.floor(this.now / 1000)) as UnixSeconds;
  }

  client(options: ClientOptions = {}): Client {
    return new Client(this, options);
  }

  takeOutputs(): TurnServerOutput[] {
    return this.#outputs.splice(0);
  }

  takeSends(): SendOutput[] {
    return this.takeOutputs().filter((output) => output.kind === "send");
  }

  takeEvents(): TurnServerEvent[] {
    return this.takeOutputs().flatMap((output) => (output.kind === "event" ? [output.event] : []));
  }

  /**
   * One datagram from a client. As the shell's, its bytes are a Buffer's, whose `slice` is a view, and both bytes and
   * addresses are lent until the call returns: they must be as they were, and are others afterwards.
   */
  receive(data: Uint8Array, from: ClientPath): Forward | undefined {
    const lent = Buffer.from(data);
    const remote = copyAddress(from.remote);
    const forward = this.server.handleClientDatagram(lent, lent.length, { ...from, remote }, this.now);
    takeBack(lent, data);
    remote.port ^= 0xffff;
    this.drain();
    return forward;
  }

  receiveFromPeer(data: Uint8Array, from: PeerAddress, relay: RelayId): Forward | undefined {
    const lent = Buffer.from(data);
    const remote = copyAddress(from);
    const forward = this.server.handlePeerDatagram(lent, lent.length, remote, relay, this.now);
    takeBack(lent, data);
    remote.port ^= 0xffff;
    this.drain();
    return forward;
  }

  /** Lets time pass; what falls due on the way is handled when it is due. */
  advance(seconds: number): void {
    const end = after(this.now, seconds * 1000);
    for (let next = this.server.pollTimeout(); next !== undefined && next <= end; next = this.server.pollTimeout()) {
      if (next > this.now) this.now = next;
      this.server.handleTimeout(this.now);
      this.drain();
    }
    this.now = end;
  }

  drain(): void {
    for (let output = this.server.pollOutput(); output !== undefined; output = this.server.pollOutput()) {
      this.#outputs.push(output);
      if (output.kind === "bindRelay") this.#open(output.relay, output.address);
      else if (output.kind === "releaseRelay")
        assert.ok(this.sockets.delete(output.relay), "only open sockets are released");
      else if (output.kind === "lookupKey") this.#lookUp(output);
    }
  }

  #open(relay: RelayId, address: Readonly<Address>): void {
    assert.ok(!this.sockets.has(relay) && !this.opening.has(relay), `relay ${relay} is in use`);
    this.opening.set(relay, { ...address });
    const answer = this.bind(relay, address);
    if (answer !== "later") this.answerBind(relay, answer);
  }

  /** Answers a `bindRelay` that was left for later. */
  answerBind(relay: RelayId, answer: "bound" | "busy" | "exhausted" | "gone"): void {
    const address = this.opening.get(relay);
    assert.ok(address, `relay ${relay} is not being opened`);
    this.opening.delete(relay);
    if (answer === "bound") {
      this.sockets.set(relay, address);
      this.server.handleRelayBound(relay, this.now);
    } else this.server.handleRelayFailed(relay, answer, this.now);
  }

  #lookUp(output: Extract<TurnServerOutput, { kind: "lookupKey" }>): void {
    this.lookups.push(output);
    if (this.answersKeys) this.answerKey();
  }

  /** Answers the oldest look-up. */
  answerKey(): void {
    const output = this.lookups.shift();
    if (output !== undefined) this.server.handleKey(output.query, this.findKeys(output.user), this.now);
  }

  findKeys(user: { readonly username: string } | { readonly userhash: Uint8Array }): UserKeys | undefined {
    for (const [name, password] of this.users) {
      const isMatch =
        "username" in user
          ? user.username === name
          : Buffer.compare(user.userhash, userhash(crypto, name, REALM)) === 0;
      if (isMatch) return keysOf(name, password);
    }
    return undefined;
  }

  /** The relay that is open at this transport address. */
  relayAt(address: Readonly<Address>): RelayId {
    for (const [relay, bound] of this.sockets) {
      if (bound.port === address.port && bound.family === address.family) return relay;
    }
    throw new Error("no socket is open there");
  }
}

function takeBack(lent: Uint8Array, data: Uint8Array): void {
  assert.equal(Buffer.compare(lent, data), 0, "what was lent was written to");
  lent.fill(0xaa);
}

export interface ClientOptions {
  readonly path?: ClientPath;
  readonly username?: string;
  readonly password?: string;
  readonly algorithm?: "md5" | "sha256";
  readonly integrity?: "sha1" | "sha256";
  /** Names itself by USERHASH. */
  readonly anonymous?: boolean;
}

/** The password that goes with a time-limited user name. */
export function timeLimitedPassword(secret: SharedSecret, username: string): string {
  const key = crypto.importKey(secret.secret);
  const hmac = secret.hash === "sha1" ? crypto.hmacSha1 : crypto.hmacSha256;
  return encodeBase64(hmac(key, encodeUtf8(username)));
}

export interface Response {
  readonly view: StunView;
  readonly class: MessageClass;
  /** 0 for a success. */
  readonly code: number;
}

type Fill = (writer: StunWriter) => unknown;
const nothing: Fill = () => undefined;

/** A client that speaks over one path, and answers challenges. */
export class Client {
  readonly world: World;
  readonly path: ClientPath;
  readonly options: ClientOptions;
  nonce = "";
  #ids = 0;

  constructor(world: World, options: ClientOptions) {
    this.world = world;
    this.path = options.path ?? udpPath();
    this.options = options;
  }

  get username(): string {
    return this.options.username ?? "alice";
  }

  get key(): HmacKey {
    const password = this.options.password ?? this.world.users.get(this.username) ?? "";
    const keys = keysOf(this.username, password);
    return crypto.importKey(this.options.algorithm === "sha256" ? keys.sha256 : keys.md5);
  }

  id(): Uint8Array {
    const id = new Uint8Array(12);
    new DataView(id.buffer).setUint32(0, ++this.#ids);
    id[11] = this.path.remote.port & 255;
    return messageId(id);
  }

  /** A request that is signed as the server asked. */
  signed(method: number, fill: Fill = nothing, id: Uint8Array = this.id()): Uint8Array {
    const writer = new StunWriter().begin(method, MessageClass.Request, id);
    fill(writer);
    if (this.options.anonymous) writer.bytes(Attribute.Userhash, userhash(crypto, this.username, REALM));
    else writer.text(Attribute.Username, this.username);
    writer.text(Attribute.Realm, REALM).text(Attribute.Nonce, this.nonce);
    if (this.options.algorithm === "sha256") {
      writer.bytes(Attribute.PasswordAlgorithms, Uint8Array.of(0, 2, 0, 0, 0, 1, 0, 0));
      writer.bytes(Attribute.PasswordAlgorithm, Uint8Array.of(0, 2, 0, 0));
    }
    if (this.options.integrity === "sha256") writer.integritySha256(crypto, this.key);
    else writer.integritySha1(crypto, this.key);
    return writer.finish();
  }

  /** Sends bytes and reads the answer, undefined when there is none. */
  exchange(bytes: Uint8Array): Response | undefined {
    this.world.takeOutputs();
    this.world.receive(bytes, this.path);
    return this.lastResponse();
  }

  lastResponse(): Response | undefined {
    const sent = this.world.takeSends().at(-1);
    if (sent === undefined) return undefined;
    const view = new StunView();
    assert.equal(view.decode(sent.data), undefined);
    const error = view.bytes(Attribute.ErrorCode);
    return {
      view,
      class: view.class,
      code: error === undefined ? 0 : (error[2] as number) * 100 + (error[3] as number),
    };
  }

  /** Asks for a nonce. */
  challenge(): void {
    const bytes = new StunWriter().begin(Method.Allocate, MessageClass.Request, this.id());
    const response = this.exchange(bytes.u32(Attribute.RequestedTransport, 17 << 24).finish());
    assert.equal(response?.code, 401);
    this.nonce = response.view.text(Attribute.Nonce, 763) ?? "";
  }

  /** A request and its answer, with a nonce that is fetched when there is none. */
  request(method: number, fill: Fill = nothing): Response {
    if (this.nonce === "") this.challenge();
    const response = this.exchange(this.signed(method, fill));
    assert.ok(response, "there is no answer");
    return response;
  }

  /** Allocates; `relayed` are the advertised addresses. */
  allocate(fill: Fill = nothing): Response & { relayed: Address[] } {
    const response = this.request(Method.Allocate, (writer) => {
      writer.u32(Attribute.RequestedTransport, 17 << 24);
      fill(writer);
    });
    const relayed: Address[] = [];
    for (let i = 0; i < response.view.attributeCount; i++) {
      const address = blankAddress();
      if (response.view.typeAt(i) !== Attribute.XorRelayedAddress) continue;
      assert.ok(response.view.xorAddressAt(i, address));
      relayed.push(address);
    }
    return { ...response, relayed };
  }

  refresh(lifetime: number, fill: Fill = nothing): Response {
    return this.request(Method.Refresh, (writer) => fill(writer.u32(Attribute.Lifetime, lifetime)));
  }

  permit(...peers: readonly Readonly<Address>[]): Response {
    return this.request(Method.CreatePermission, (writer) => {
      for (const peer of peers) writer.xorAddress(Attribute.XorPeerAddress, peer);
    });
  }

  bindChannel(number: number, peer: Readonly<Address>): Response {
    return this.request(Method.ChannelBind, (writer) => {
      writer.u32(Attribute.ChannelNumber, number * 0x10000).xorAddress(Attribute.XorPeerAddress, peer);
    });
  }

  send(peer: Readonly<Address>, data: Uint8Array, fill: Fill = nothing): Forward | undefined {
    const writer = new StunWriter().begin(Method.Send, MessageClass.Indication, this.id());
    writer.xorAddress(Attribute.XorPeerAddress, peer).bytes(Attribute.Data, data);
    fill(writer);
    return this.world.receive(writer.finish(), this.path);
  }

  sendOnChannel(number: number, data: Uint8Array): Forward | undefined {
    const bytes = new Uint8Array(4 + data.length);
    encodeChannelHeader(bytes, 0, number, data.length);
    bytes.set(data, 4);
    return this.world.receive(bytes, this.path);
  }
}

/** An ordinary peer on the Internet. */
export const PEER: Readonly<Address> = ipv4(0x01010101, 9000);
export const PEER6: Readonly<Address> = ip("2600::1", 9000);
