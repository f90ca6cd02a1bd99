/**
 * The TURN server core under stateful fuzzing. Sequences of clients, peers, time and a driver that answers late, badly
 * or never; half of the requests are mutated and then signed again with a good nonce and key, so that they reach the
 * handlers. A model checks every step (`turn-model.ts`), and at the end of every sequence nothing may be left.
 */
import assert from "node:assert/strict";
import { setImmediate as breathe } from "node:timers/promises";
import { type Address, blankAddress, formatIp, ipv4 } from "../../src/core/base/address.ts";
import { writeU16 } from "../../src/core/base/bytes.ts";
import { Deadlines, type Timed } from "../../src/core/base/deadlines.ts";
import type { HmacKey } from "../../src/core/base/ports.ts";
import { encodeUtf8 } from "../../src/core/base/utf8.ts";
import { userhash } from "../../src/core/stun/credentials.ts";
import { fingerprint } from "../../src/core/stun/fingerprint.ts";
import { Attribute, MessageClass, Method } from "../../src/core/stun/registry.ts";
import { StunView } from "../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../src/core/stun/writer.ts";
import type { ClientPath } from "../../src/core/turn/server/client-path.ts";
import type { SharedSecret, TurnServerConfig } from "../../src/core/turn/server/config.ts";
import type { DiscoverySocket, DiscoverySquare } from "../../src/core/turn/server/discovery-sites.ts";
import type { RelayId } from "../../src/core/turn/server/flow.ts";
import { testCrypto as crypto, SeededRandom } from "../support/crypto.ts";
import {
  CONFIG,
  ip,
  keysOf,
  REALM,
  SECRET,
  tcpPath,
  timeLimitedPassword,
  udpPath,
  World,
} from "../support/turn-world.ts";
import { mutated } from "./mutate.ts";
import type { StepCounter } from "./steps.ts";
import { BrokenLaw, busyMs, HEAP_SLACK, heapUsed, type Report, STALL_MS, STALL_TRIES } from "./target.ts";
import { pathName, type Seen, type Session, TurnModel } from "./turn-model.ts";

const SECRET_256: SharedSecret = { secret: encodeUtf8("the next secret, for rotation"), hash: "sha256" };
const ELSEWHERE = { bound: ip("10.7.0.1"), advertised: ip("6.6.6.1") };

/** Servers that differ in what they allow. */
const CONFIGS: readonly Partial<TurnServerConfig>[] = [
  {},
  { sharedSecrets: [SECRET, SECRET_256], channelRange: "rfc5766", software: "Postern" },
  { sharedSecrets: [SECRET], users: false, sessionBeyondExpiry: 0 },
  { usernameAnonymity: true, dontFragment: false },
  { relays: CONFIG.relays.slice(0, 1), relayPorts: { min: 50_000, max: 50_006 } },
  { relayPorts: { min: 50_000, max: 50_009 } },
  { relays: CONFIG.relays.slice(1), ownAddresses: [ip("2a05::1")] },
  { relays: [ELSEWHERE, ...CONFIG.relays.slice(1)], peers: { ...CONFIG.peers, ports: { min: 1024, max: 49_999 } } },
  {
    quotas: {
      ...CONFIG.quotas,
      allocations: 5,
      allocationsPerUser: 3,
      allocationsPerSource: 2,
      permissions: 3,
      channels: 2,
    },
    budgets: { unauthenticatedPerSecond: 1, requestsPerSecond: 2 },
  },
  { quotas: { ...CONFIG.quotas, newPeersPerSecond: 0.4, bytesPerSecond: 200 } },
  { alternateServers: [ip("7.7.7.7", 3478)] },
];

/** Peers that matter: ordinary ones, special ones, the host's own, other allocations'. */
const PEERS: readonly Readonly<Address>[] = [
  ...[
    ip("1.1.1.1", 9000),
    ip("1.1.1.1", 9001),
    ip("1.1.1.2", 53),
    ip("9.9.9.9", 0),
    ip("2600::1", 9000),
    ip("2600::2", 7),
  ],
  ...[ip("10.0.0.1", 80), ip("127.0.0.1", 22), ip("fe80::1", 80), ip("::ffff:1.1.1.1", 9000), ip("64:ff9b::a00:1", 80)],
  ...[ip("5.5.5.1", 3478), ip("5.5.5.1", 50_000), ip("5.5.5.2", 22), ip("6.6.6.1", 50_001), ip("2a05::1", 50_002)],
];

const PATHS: readonly ClientPath[] = [
  udpPath("8.8.4.4", 40_000),
  udpPath("8.8.4.4", 40_001),
  udpPath("8.8.4.5", 40_000),
  udpPath("2600:1::1", 40_000),
  tcpPath(1),
  tcpPath(2, "2600:1::1", 40_001),
];

/** NAT behaviour discovery on the IPv4 listener of `PATHS` and three others. */
const DISCOVERY: DiscoverySquare = [
  [corner(0, "5.5.5.1", 3478), corner(10, "5.5.5.1", 3479)],
  [corner(11, "5.5.5.2", 3478), corner(12, "5.5.5.2", 3479)],
];

function corner(listener: number, text: string, port: number): DiscoverySocket {
  return { listener, bound: ip(text, port), advertised: ip(text, port) };
}

/** How one request names and proves itself. */
interface Voice {
  readonly username: string;
  readonly password: string;
  readonly algorithm: "md5" | "sha256";
  readonly integrity: "sha1" | "sha256" | "both";
  readonly anonymous: boolean;
}

type Fill = (writer: StunWriter) => unknown;

/** The heaps of deadlines that machines made since the last sequence began: their size is part of the model. */
const heaps = new Set<Deadlines<Timed>>();
/** Other targets have machines too, in the same process, and nobody would forget theirs. */
let isWatching = false;
const originalSet = Deadlines.prototype.set;
Deadlines.prototype.set = function (item, deadline): void {
  if (isWatching) heaps.add(this);
  originalSet.call(this, item, deadline);
};

class Sequence {
  readonly #random: SeededRandom;
  readonly #world: World;
  readonly #config: TurnServerConfig;
  readonly model: TurnModel;
  readonly #nonces = new Map<ClientPath, string>();
  readonly #voices = new Map<ClientPath, Voice>();
  /** The last signed request of a path, for retransmission. */
  readonly #lastSent = new Map<ClientPath, Uint8Array>();
  readonly #tokens: Uint8Array[] = [];
  #inputs = 0;
  #signed = 0;

  constructor(seed: number) {
    isWatching = true;
    heaps.clear();
    this.#random = new SeededRandom(seed);
    this.#config = { ...CONFIG, ...this.#random.pick(CONFIGS) };
    this.#world = new World(this.#config, seed);
    this.#world.bind = () =>
      this.#random.pick([...Array(8).fill("bound"), "later", "later", "busy", "busy", "exhausted"]);
    this.model = new TurnModel(this.#world);
    if (this.#random.oneIn(3)) this.#world.server.handleDiscoverySquares([DISCOVERY], this.#world.now);
    this.#host(this.#config);
  }

  get inputs(): number {
    return this.#inputs;
  }

  /** The server's side of a change of the host's addresses. */
  #host({ relays, ownAddresses }: Pick<TurnServerConfig, "relays" | "ownAddresses">): void {
    const all = relays.flatMap(({ bound, advertised }) => [bound, advertised]);
    this.model.addressesChanged(all, [...ownAddresses], (text) => ip(text));
  }

  /** One input of any kind. */
  step(): void {
    const random = this.#random;
    const pause = random.oneIn(60) ? [31, 61, 299, 301, 599, 601, 3601] : [0.01, 0.2, 1, 2, 5];
    this.#passTime(random.oneIn(8) ? random.pick(pause) : 0);
    this.#world.answersKeys = !random.oneIn(6);
    const actions: readonly (readonly [number, () => void])[] = [
      [36, () => this.#request()],
      [8, () => this.#retransmit()],
      [8, () => this.#hostile()],
      [14, () => this.#media()],
      [14, () => this.#peer()],
      [12, () => this.#answer()],
      [3, () => this.#upheaval()],
    ];
    let draw = random.below(actions.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, act] of actions) {
      if (draw < weight) return act();
      draw -= weight;
    }
  }

  #passTime(seconds: number): void {
    this.#world.advance(seconds);
    this.#world.server.handleTimeout(this.#world.now);
    this.#settled(undefined, undefined);
  }

  #settled(forward: ReturnType<World["receive"]>, seen: Seen | undefined): void {
    this.#inputs++;
    this.#world.drain();
    const outputs = this.#world.takeOutputs();
    for (const output of outputs) if (output.kind === "send") this.#learn(output.to, output.data);
    this.model.check(outputs, forward, seen);
    const { permissions, channels } = this.#world.server.stats;
    assert.ok(this.#world.cryptoCalls <= MAX_CRYPTO_CALLS, `${this.#world.cryptoCalls} hashes and HMACs`);
    this.#world.cryptoCalls = 0;
    for (const heap of heaps) assert.ok(heap.size <= permissions + channels + this.#world.sockets.size, "deadlines");
  }

  /** What a client keeps of an answer. */
  #learn(to: ClientPath, data: Uint8Array): void {
    const view = new StunView();
    if (view.decode(data) !== undefined) return;
    const path = PATHS.find(
      (p) =>
        p.connection === to.connection &&
        p.remote.port === to.remote.port &&
        formatIp(p.remote) === formatIp(to.remote),
    );
    const nonce = view.text(Attribute.Nonce, 763);
    if (nonce !== undefined && path !== undefined) this.#nonces.set(path, nonce);
    const token = view.bytes(Attribute.ReservationToken);
    if (token !== undefined) this.#tokens.push(token.slice());
  }

  #deliver(path: ClientPath, data: Uint8Array): void {
    const seen = { path, data };
    this.model.expect(seen);
    const forward = this.#world.receive(data, path);
    if (forward !== undefined) assert.ok(forward.offset >= 4 && forward.offset + forward.length <= data.length);
    this.#settled(forward, seen);
  }

  // Requests

  #voice(path: ClientPath): Voice {
    const random = this.#random;
    const kept = this.#voices.get(path);
    if (kept !== undefined && !random.oneIn(60)) return kept;
    const secret = random.pick([SECRET, SECRET_256]);
    const expiry = this.#world.wall + random.pick([-10, 5, 700, 86_400, 86_400]);
    const limited = `${expiry}${random.pick(["", ":carol", ":", ":alice"])}`;
    const named: (readonly [string, string])[] = [];
    const { users, sharedSecrets } = this.#config;
    if (users) named.push(...this.#world.users);
    if (sharedSecrets.length > 0) named.push([limited, timeLimitedPassword(secret, limited)]);
    if (random.oneIn(8)) named.push([random.pick(["mallory", "alice", "a\u00adb", "", "x".repeat(600)]), "a guess"]);
    const [username, password] = random.pick(named);
    const voice: Voice = {
      username,
      password,
      algorithm: random.pick(["md5", "sha256"]),
      integrity: random.pick(["sha1", "sha256", "both"]),
      anonymous: random.oneIn(this.#config.usernameAnonymity ? 2 : 20),
    };
    this.#voices.set(path, voice);
    return voice;
  }

  #request(): void {
    const random = this.#random;
    const path = random.pick(PATHS);
    const method = this.#method(path);
    let body = this.#body(method);
    // Half of them are mutated, and signed after that.
    if (random.oneIn(2)) body = mutated([body, this.#body(method)], random).slice(0, 600);
    const bytes = this.#sign(path, method, body);
    this.#lastSent.set(path, bytes);
    this.#deliver(path, bytes);
  }

  /** Mostly what comes next for this client. */
  #method(path: ClientPath): number {
    const random = this.#random;
    const { CreatePermission, ChannelBind } = Method;
    if (random.oneIn(6)) return random.pick([...Object.values(Method), random.below(0x1000)]);
    if (this.#session(path) === undefined) return Method.Allocate;
    return random.pick([CreatePermission, CreatePermission, ChannelBind, ChannelBind, ChannelBind, Method.Refresh]);
  }

  #session(path: ClientPath): Session | undefined {
    return this.model.sessions.get(pathName(path));
  }

  /** A path with an allocation, if there is one, and mostly. */
  #busyPath(): ClientPath {
    const busy = PATHS.filter((path) => this.#session(path) !== undefined);
    return busy.length === 0 || this.#random.oneIn(8) ? this.#random.pick(PATHS) : this.#random.pick(busy);
  }

  /** A peer that this client may speak to, if there is one, and mostly. */
  #likelyPeer(path: ClientPath): Readonly<Address> {
    const random = this.#random;
    const session = this.#session(path);
    const likely = PEERS.filter((peer) => session?.permissions.has(formatIp(peer)));
    return likely.length === 0 || random.oneIn(8) ? this.#anyPeer() : random.pick(likely);
  }

  /** The attributes of a request that make sense, in values that may not. */
  #body(method: number): Uint8Array {
    const random = this.#random;
    const writer = new StunWriter().begin(method, MessageClass.Request, messageId(new Uint8Array(12)));
    const maybe = (n: number, fill: Fill): void => void (random.oneIn(n) && fill(writer));
    if (method === Method.Allocate) {
      if (!random.oneIn(20))
        writer.u32(Attribute.RequestedTransport, random.pick([17, 17, 17, 17, 17, 17, 17, 6]) << 24);
      maybe(4, (w) => w.u32(Attribute.RequestedAddressFamily, random.pick([1, 2, 2, 3]) << 24));
      maybe(4, (w) => w.u32(Attribute.AdditionalAddressFamily, random.pick([2, 2, 2, 1]) << 24));
      maybe(4, (w) => w.bytes(Attribute.EvenPort, Uint8Array.of(random.pick([0, 0x80]))));
      maybe(8, (w) => w.bytes(Attribute.ReservationToken, random.pick([new Uint8Array(8), ...this.#tokens.slice(-2)])));
      maybe(4, (w) => w.u32(Attribute.Lifetime, random.pick([0, 1, 600, 3600, 0xffffffff])));
      maybe(10, (w) => w.bytes(Attribute.DontFragment, new Uint8Array(0)));
    } else if (method === Method.Binding) {
      maybe(2, (w) => w.u32(Attribute.ChangeRequest, random.pick([0, 2, 4, 6, 7])));
      maybe(4, (w) => w.u32(Attribute.ResponsePort, random.pick([1, 1023, 1024, 40_000, 65_535]) * 0x10000));
      maybe(4, (w) => w.bytes(Attribute.Padding, new Uint8Array(random.pick([0, 1, 64, 500]))));
    } else if (method === Method.Refresh) {
      maybe(1, (w) => w.u32(Attribute.Lifetime, random.pick([0, 1, 600, 600, 600, 600, 3600, 0xffffffff])));
      maybe(4, (w) => w.u32(Attribute.RequestedAddressFamily, random.pick([1, 2, 3]) << 24));
    } else {
      if (method === Method.ChannelBind) writer.u32(Attribute.ChannelNumber, this.#channel() * 0x10000);
      for (let n = 1 + random.below(random.pick([1, 1, 4])); n > 0; n--)
        writer.xorAddress(Attribute.XorPeerAddress, this.#anyPeer());
    }
    return writer.finish().slice(20);
  }

  #channel(): number {
    return this.#random.pick([0x4000, 0x4001, 0x4002, 0x4fff, 0x5000, 0x7fff, 0x3fff]);
  }

  /** XOR-ed with the cookie alone: the transaction ID of `#body` is zero, so IPv6 addresses are turned by the real one. */
  #anyPeer(): Readonly<Address> {
    const random = this.#random;
    const open = [...this.#world.sockets.values()];
    if (open.length > 0 && random.oneIn(4)) {
      // Another allocation of this server, as it is advertised.
      const { port, ...socket } = random.pick(open);
      const place = this.#config.relays.find(({ bound }) => formatIp(bound) === formatIp({ ...socket, port }));
      return { ...(place?.advertised ?? socket), port };
    }
    return random.oneIn(30) ? ipv4(random.u32(), random.below(65_536)) : random.pick(PEERS);
  }

  /** Header, body, credentials, seal. The body's IPv6 addresses are made to fit the new transaction ID. */
  #sign(path: ClientPath, method: number, body: Uint8Array): Uint8Array {
    const random = this.#random;
    const voice = this.#voice(path);
    const writer = new StunWriter().begin(method, MessageClass.Request, messageId(new Uint8Array(12)));
    if (voice.anonymous) writer.bytes(Attribute.Userhash, userhash(crypto, voice.username, REALM));
    else writer.text(Attribute.Username, voice.username);
    writer.text(Attribute.Realm, random.oneIn(60) ? "elsewhere" : REALM);
    // Now and then the nonce is another client's, of the same host even.
    const nonceOf = random.oneIn(20) ? random.pick(PATHS) : path;
    writer.text(Attribute.Nonce, this.#nonces.get(nonceOf) ?? "none yet");
    const algorithm = voice.algorithm === "md5" ? 1 : 2;
    if (algorithm === 2 || random.oneIn(3)) {
      writer.bytes(Attribute.PasswordAlgorithms, Uint8Array.of(0, random.oneIn(60) ? 1 : 2, 0, 0, 0, 1, 0, 0));
      writer.bytes(Attribute.PasswordAlgorithm, Uint8Array.of(0, random.oneIn(60) ? 3 : algorithm, 0, 0));
    }
    const credentials = writer.finish().slice(20);
    // The credentials come first or last: an attribute that a mutation made twice as long swallows what is behind it.
    const parts = random.oneIn(2) ? [credentials, body] : [body, credentials];
    let bytes = concat(writer.finish().slice(0, 20), ...parts);
    bytes = bytes.slice(0, bytes.length & ~3);
    // A peer of IPv6 is XOR-ed with the transaction ID: a counter in its last bytes changes only port-like low bits.
    new DataView(bytes.buffer).setUint16(8, ++this.#signed & 0xffff);
    fixPeers(bytes);
    const keys = keysOf(voice.username, voice.password);
    const key = crypto.importKey(voice.algorithm === "md5" ? keys.md5 : keys.sha256);
    return sealed(bytes, key, voice.integrity, random.oneIn(3));
  }

  #retransmit(): void {
    const path = this.#random.pick(PATHS);
    const bytes = this.#lastSent.get(path);
    if (bytes !== undefined) this.#deliver(path, bytes);
  }

  /** Mutated after it was signed, from anybody; or with nothing but a nonce. */
  #hostile(): void {
    const random = this.#random;
    const path = random.pick(PATHS);
    const method = random.pick([Method.Allocate, Method.Refresh, Method.Binding]);
    const bare = new StunWriter().begin(method, random.pick(Object.values(MessageClass)), messageId(random.bytes(12)));
    if (random.oneIn(2)) bare.fingerprint();
    const seeds = [bare.finish(), this.#sign(path, method, this.#body(method))];
    this.#deliver(path, random.oneIn(4) ? (seeds[0] as Uint8Array) : mutated(seeds, random));
  }

  // Media

  #media(): void {
    const random = this.#random;
    const path = this.#busyPath();
    const payload = random.bytes(random.pick([0, 1, 20, 160]));
    const bound = [...(this.#session(path)?.channels.keys() ?? [])];
    if (random.oneIn(2)) {
      const data = concat(Uint8Array.of(0, 0, 0, payload.length), payload);
      writeU16(data, 0, bound.length === 0 || random.oneIn(6) ? this.#channel() : random.pick(bound));
      return this.#deliver(path, random.oneIn(4) ? mutated([data], random) : data);
    }
    const writer = new StunWriter().begin(Method.Send, MessageClass.Indication, messageId(random.bytes(12)));
    writer.xorAddress(Attribute.XorPeerAddress, this.#likelyPeer(path)).bytes(Attribute.Data, payload);
    if (random.oneIn(8)) writer.bytes(Attribute.DontFragment, new Uint8Array(0));
    const data = writer.finish();
    this.#deliver(path, random.oneIn(4) ? mutated([data], random) : data);
  }

  #peer(): void {
    const random = this.#random;
    const path = this.#busyPath();
    const own = [...(this.#session(path)?.relays.keys() ?? [])];
    const any = [...this.#world.sockets.keys(), ...this.#world.opening.keys(), 999 as RelayId];
    const relay = random.pick(own.length === 0 || random.oneIn(6) ? any : own);
    const data = random.bytes(random.below(200));
    this.#settled(this.#world.receiveFromPeer(data, this.#likelyPeer(path), relay), undefined);
  }

  // The driver

  /** Keys and sockets: late, wrong, twice or for nothing. */
  #answer(): void {
    const random = this.#random;
    const world = this.#world;
    const [relay] = world.opening.keys();
    if (relay !== undefined && random.oneIn(2)) {
      world.answerBind(relay, random.pick(["bound", "bound", "bound", "busy", "exhausted", "gone"]));
    } else if (random.oneIn(30)) {
      const lost = random.pick([...world.sockets.keys(), 998 as RelayId]);
      // The socket is dead; the server says when it lets go of it.
      world.server.handleRelayFailed(lost, random.pick(["gone", "exhausted", "busy"]), world.now);
    } else if (world.lookups.length > 0) {
      const query = random.oneIn(10) ? world.lookups.splice(random.below(world.lookups.length), 1)[0] : undefined;
      if (query === undefined) world.answerKey();
      else if (random.oneIn(3)) world.server.handleKey(query.query, keysOf("bob", "another's"), world.now);
      else if (random.oneIn(2)) world.server.handleKey(query.query, undefined, world.now);
    } else world.server.handleKey(random.below(9) as never, undefined, world.now);
    this.#settled(undefined, undefined);
  }

  /** What happens seldom and to everybody. */
  #upheaval(): void {
    const random = this.#random;
    const { server, now } = this.#world;
    const host = { relays: this.#config.relays.slice(), ownAddresses: this.#config.ownAddresses.slice() };
    const events: readonly (() => void)[] = [
      () => server.handleUserRemoved(random.pick(["alice", "bob", "nobody"]), now),
      () => server.handleSecrets(random.pick([[], [SECRET], [SECRET, SECRET_256]]), now),
      () => server.handleClientClosed(random.pick(PATHS), now),
      () => server.handleClientClosed(random.pick(PATHS), now),
      () => {
        if (random.oneIn(2)) host.relays.splice(random.below(host.relays.length), 1);
        if (random.oneIn(2)) host.ownAddresses.push(ip("1.1.1.1"));
        this.#host(host);
        server.handleAddresses(host.relays, host.ownAddresses, now);
      },
      () => void (random.oneIn(10) && server.handleDrain(now)),
    ];
    random.pick(events)();
    this.#settled(undefined, undefined);
  }

  // The end

  /** Time runs out, or the server is closed: nothing is left, and what was used can be used again. */
  end(): void {
    if (this.#random.oneIn(2)) this.#world.server.close(this.#world.now);
    this.#settled(undefined, undefined);
    this.#world.bind = () => "bound";
    for (const relay of [...this.#world.opening.keys()]) {
      this.#world.answerBind(relay, "bound");
      this.#settled(undefined, undefined);
    }
    while (this.#world.lookups.length > 0) {
      this.#world.answerKey();
      this.#settled(undefined, undefined);
    }
    for (let hours = 0; hours < 15; hours++) this.#passTime(3600);
    assert.equal(this.#world.sockets.size, 0, "every socket is released");
    assert.equal(this.#world.opening.size, 0);
    assert.equal(this.#world.server.pollTimeout(), undefined, "nothing is waited for");
    const { allocations, permissions, channels } = this.#world.server.stats;
    assert.deepEqual({ allocations, permissions, channels }, { allocations: 0, permissions: 0, channels: 0 });
    this.#nobodyIsStuck();
  }

  /** Whoever had an allocation that is over is not told that the 5-tuple is taken. */
  #nobodyIsStuck(): void {
    for (const path of PATHS) {
      const client = this.#world.client({ path });
      this.#world.answersKeys = true;
      const response = client.exchange(
        new StunWriter()
          .begin(Method.Allocate, MessageClass.Request, client.id())
          .u32(Attribute.RequestedTransport, 17 << 24)
          .finish(),
      );
      if (response === undefined) continue;
      client.nonce = response.view.text(Attribute.Nonce, 763) ?? "";
      const again = client.exchange(
        client.signed(Method.Allocate, (w) => w.u32(Attribute.RequestedTransport, 17 << 24)),
      );
      assert.notEqual(again?.code, 437, "the 5-tuple is free again");
      if (again?.code === 0) assert.equal(client.refresh(0).code, 0);
    }
  }
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** `#body` XOR-ed IPv6 addresses with a zero ID; the ID's counter is put into them too, where they are still whole. */
function fixPeers(bytes: Uint8Array): void {
  const view = new StunView();
  writeU16(bytes, 2, bytes.length - 20);
  if (view.decode(bytes) !== undefined) return;
  const address = blankAddress();
  for (let i = 0; i < view.attributeCount; i++) {
    if (view.typeAt(i) !== Attribute.XorPeerAddress || !view.xorAddressAt(i, address) || address.family === 4) continue;
    const at = view.offsetAt(i) + 8;
    bytes[at] = (bytes[at] as number) ^ (bytes[8] as number);
    bytes[at + 1] = (bytes[at + 1] as number) ^ (bytes[9] as number);
  }
}

/** Signs whatever `bytes` are. */
function sealed(bytes: Uint8Array, key: HmacKey, integrity: Voice["integrity"], withFingerprint: boolean): Uint8Array {
  let out = bytes;
  const append = (type: number, value: (covered: Uint8Array) => Uint8Array, length: number): void => {
    writeU16(out, 2, out.length + 4 + length - 20);
    const header = Uint8Array.of(type >>> 8, type & 255, 0, length);
    out = concat(out, header, value(out));
  };
  if (integrity !== "sha256") append(Attribute.MessageIntegrity, (covered) => crypto.hmacSha1(key, covered), 20);
  if (integrity !== "sha1") append(Attribute.MessageIntegritySha256, (covered) => crypto.hmacSha256(key, covered), 32);
  if (withFingerprint) {
    append(
      Attribute.Fingerprint,
      (covered) => {
        const crc = fingerprint(covered, covered.length);
        return Uint8Array.of(crc >>> 24, crc >>> 16, crc >>> 8, crc);
      },
      4,
    );
  }
  return out;
}

/** Hashes and HMACs for one input, with two shared secrets: nonce, passwords, keys, integrity, and the answer's. */
const MAX_CRYPTO_CALLS = 12;
const STEPS = 400;

/** Codes that the server must have answered with somewhere in a run. */
export const ERROR_CODES: readonly number[] = [300, 400, 401, 403, 420, 437, 438, 440, 441, 442, 443, 486, 508];

export interface TurnReport extends Report {
  readonly codes: readonly number[];
}

/** The most steps of one input of any kind: a scan of all 1,000 ports is among them. */
const MAX_STEPS = 12_000;

/** Counts the steps of `inputs` inputs, as the core and the client beside it take them; returns the most of any. */
export function boundedTurnWork(counter: StepCounter, inputs: number, seed: number): number {
  let most = 0;
  for (let n = 0; n < inputs; ) {
    const sequence = new Sequence(seed + n);
    for (let step = 0; step < STEPS && n < inputs; step++, n++) {
      const steps = counter.count(() => sequence.step());
      if (steps > MAX_STEPS) throw new BrokenLaw(`turn-server: ${steps} steps for one input, seed ${seed}`);
      most = Math.max(most, steps);
    }
  }
  return most;
}

interface Ran {
  readonly sequence: Sequence;
  /** The milliseconds of its slowest input, and which one that was. */
  readonly slowestMs: number;
  readonly slowestStep: number;
}

function runSequence(seed: number): Ran {
  const sequence = new Sequence(seed);
  let [step, slowestMs, slowestStep] = [0, 0, 0];
  try {
    for (; step < STEPS; step++) {
      const start = busyMs();
      sequence.step();
      const ms = busyMs() - start;
      if (ms > slowestMs) [slowestMs, slowestStep] = [ms, step];
    }
    sequence.end();
  } catch (cause) {
    throw new BrokenLaw(`turn-server: sequence ${seed} broke a law at step ${step}`, { cause });
  }
  return { sequence, slowestMs, slowestStep };
}

/** Runs one sequence, again where an input stalled the event loop: what stalls by itself does so at the same step. */
function runWithoutStall(seed: number): Ran {
  let ran = runSequence(seed);
  const { slowestStep } = ran;
  for (let tries = 1; ran.slowestMs > STALL_MS && ran.slowestStep === slowestStep; tries++) {
    if (tries === STALL_TRIES) throw new BrokenLaw(`turn-server: sequence ${seed} stalls at step ${slowestStep}`);
    ran = runSequence(seed);
  }
  return ran;
}

/** Runs sequences until `inputs` inputs went in. */
export async function fuzzTurnServer(inputs: number, seed: number): Promise<TurnReport> {
  const codes = new Set<number>();
  let [done, slowestMs, accepted] = [0, 0, 0];
  const heapBefore = heapUsed();
  for (; done < inputs; accepted++) {
    await breathe();
    const sequenceSeed = (seed * 0x9e3779b1 + accepted) | 0;
    const ran = runWithoutStall(sequenceSeed);
    slowestMs = Math.max(slowestMs, ran.slowestMs);
    done += ran.sequence.inputs;
    for (const code of ran.sequence.model.codes) codes.add(code);
  }
  const heapGrowth = heapUsed() - heapBefore;
  if (heapGrowth > HEAP_SLACK) throw new BrokenLaw(`turn-server: the heap grew by ${heapGrowth} bytes`);
  return { inputs: done, accepted, heapGrowth, slowestMs, codes: [...codes].sort((a, b) => a - b) };
}
