/**
 * A small model beside the TURN server: it believes what the server says on the wire and in its events, keeps what must
 * follow from that, and checks what the server does against it. It knows nothing of the server's insides.
 */
import assert from "node:assert/strict";
import { BlockList } from "node:net";
import { type Address, formatIp, sameIp } from "../../src/core/base/address.ts";
import { Attribute, MessageClass, Method } from "../../src/core/stun/registry.ts";
import { StunView } from "../../src/core/stun/view.ts";
import type { ClientPath } from "../../src/core/turn/server/client-path.ts";
import type { Flow, Forward, RelayId } from "../../src/core/turn/server/flow.ts";
import type { TurnServerOutput } from "../../src/core/turn/server/outputs.ts";
import type { World } from "../support/turn-world.ts";

const PERMISSION_MS = 300_000;
const CHANNEL_MS = 600_000;
const MAX_AMPLIFICATION = 2.6;

export interface Session {
  readonly id: number;
  readonly path: string;
  /** Peer IP to expiry. */
  readonly permissions: Map<string, number>;
  readonly channels: Map<number, { readonly peer: string; readonly ip: string; until: number }>;
  readonly relays: Map<RelayId, 4 | 6>;
}

export interface Seen {
  readonly path: ClientPath;
  readonly data: Uint8Array;
}

/** security.md's list, in words of its own: what is nobody's peer. */
const special = new BlockList();
for (const range of [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"],
  ...["192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"],
  ...["224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"],
  ...["2001:db8::/32", "2001:2::/48", "3fff::/20", "5f00::/16", "100::/64", "64:ff9b:1::/48"],
]) {
  const [address, length] = range.split("/") as [string, string];
  special.addSubnet(address, Number(length), address.includes(":") ? "ipv6" : "ipv4");
}

export function isSpecial(address: Readonly<Address>): boolean {
  return special.check(formatIp({ ...address, text: "" }), address.family === 4 ? "ipv4" : "ipv6");
}

export function pathName(path: ClientPath): string {
  return `${path.listener}/${path.connection}/${formatIp(path.remote)}/${path.remote.port}`;
}

function headers(path: ClientPath): number {
  return path.remote.family === 4 ? 28 : 48;
}

/** What request and answer have in common. RFC 5780 lets the answer to a Binding go elsewhere, but to the same host. */
function requestName(path: ClientPath, data: Uint8Array): string {
  const transaction = Buffer.from(data.subarray(4, 20)).toString("hex");
  const type = ((data[0] as number) << 8) | (data[1] as number);
  // Without the bits of the class.
  const isBinding = (type & 0x3eef) === Method.Binding;
  return `${isBinding ? formatIp(path.remote) : pathName(path)} ${transaction}`;
}

export class TurnModel {
  readonly #world: World;
  /** Live allocations by 5-tuple. */
  readonly sessions = new Map<string, Session>();
  /** Nonces by the transport address that each was sent to. */
  readonly #nonces = new Map<string, Set<string>>();
  /** Requests by path and transaction: an answer may come much later. */
  readonly #requests = new Map<string, Uint8Array>();
  readonly #view = new StunView();
  readonly #request = new StunView();
  /** Error codes seen on the wire. */
  readonly codes = new Set<number>();
  /** The host's addresses, relays' included. */
  relays: Readonly<Address>[] = [];
  own: Readonly<Address>[] = [];
  outputsLeft = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Before a datagram from a client. */
  expect(seen: Seen): void {
    if (this.#request.decode(seen.data) === undefined) {
      this.#requests.set(requestName(seen.path, seen.data), seen.data.slice());
    }
  }

  /** After any input: `forward` is what it returned, `seen` what a client sent, if one did. */
  check(outputs: readonly TurnServerOutput[], forward: Forward | undefined, seen: Seen | undefined): void {
    this.#expire();
    const before = this.#objects();
    for (const output of outputs) this.#output(output, seen);
    if (forward !== undefined) this.#forward(forward);
    // Whatever came in, what goes out is bounded by what exists, and media by one.
    assert.ok(outputs.length <= 40 + 3 * before, `${outputs.length} outputs of one input`);
    this.#agree();
  }

  #objects(): number {
    let objects = 0;
    for (const s of this.sessions.values()) objects += s.permissions.size + s.channels.size + s.relays.size + 2;
    return objects;
  }

  #expire(): void {
    const { now } = this.#world;
    for (const session of this.sessions.values()) {
      for (const [peer, until] of session.permissions) if (until <= now) session.permissions.delete(peer);
      for (const [number, { until }] of session.channels) if (until <= now) session.channels.delete(number);
    }
  }

  /** The server's counts are those of what exists. */
  #agree(): void {
    const { stats } = this.#world.server;
    let [permissions, channels] = [0, 0];
    for (const session of this.sessions.values()) {
      permissions += session.permissions.size;
      channels += session.channels.size;
    }
    assert.equal(stats.allocations, this.sessions.size, "allocations");
    assert.equal(stats.permissions, permissions, "permissions");
    assert.equal(stats.channels, channels, "channels");
    for (const count of [...Object.values(stats.drops), ...stats.errors, ...stats.successes]) assert.ok(count >= 0);
  }

  #output(output: TurnServerOutput, seen: Seen | undefined): void {
    if (output.kind === "send") this.#sent(output.to, output.data, seen);
    else if (output.kind === "event") this.#event(output);
    else if (output.kind === "releaseRelay") this.#released(output.relay);
    else if (output.kind === "offload") this.#flowIsLive(output.flow);
  }

  #event({ event }: Extract<TurnServerOutput, { kind: "event" }>): void {
    if (event.type === "allocation-created") {
      const path = pathName(event.allocation.client);
      assert.ok(!this.sessions.has(path), "one allocation for a 5-tuple");
      const relays = new Map<RelayId, 4 | 6>();
      for (const relayed of event.allocation.relayed) relays.set(this.#world.relayAt(relayed), relayed.family);
      this.sessions.set(path, { id: event.allocation.id, path, permissions: new Map(), channels: new Map(), relays });
    } else if (event.type === "allocation-ended") {
      const path = pathName(event.allocation.client);
      assert.equal(this.sessions.get(path)?.id, event.allocation.id, "what ends has lived");
      this.sessions.delete(path);
    }
  }

  /** One family of an allocation is gone, with its peers. */
  #released(relay: RelayId): void {
    for (const session of this.sessions.values()) {
      const family = session.relays.get(relay);
      if (family === undefined) continue;
      session.relays.delete(relay);
      const isOf = (text: string): boolean => text.includes(":") === (family === 6);
      for (const peer of session.permissions.keys()) if (isOf(peer)) session.permissions.delete(peer);
      for (const [number, { ip }] of session.channels) if (isOf(ip)) session.channels.delete(number);
    }
  }

  #sent(to: ClientPath, data: Uint8Array, seen: Seen | undefined): void {
    const view = this.#view;
    assert.equal(view.decode(data), undefined, "what is sent is STUN");
    if (view.class === MessageClass.Indication) return this.#indication(to);
    const request = this.#requests.get(requestName(to, data));
    assert.ok(request, "an answer goes where its request came from");
    const error = view.bytes(Attribute.ErrorCode);
    const code = error === undefined ? 0 : (error[2] as number) * 100 + (error[3] as number);
    this.codes.add(code);
    const nonce = view.text(Attribute.Nonce, 763);
    if (nonce !== undefined) this.#issued(to, nonce);
    const isSealed = view.has(Attribute.MessageIntegrity) || view.has(Attribute.MessageIntegritySha256);
    if (!isSealed) this.#unproven(to, data, seen);
    else this.#proven(to, request, code);
  }

  /** Nothing large goes to an address that may be somebody else's. */
  #unproven(to: ClientPath, data: Uint8Array, seen: Seen | undefined): void {
    assert.notEqual(this.#view.class === MessageClass.Success && this.#view.method !== Method.Binding, true);
    if (to.transport !== "udp") return;
    const asked = seen?.data ?? this.#requests.get(requestName(to, data));
    const ratio = (data.length + headers(to)) / ((asked?.length ?? 0) + headers(to));
    assert.ok(ratio <= MAX_AMPLIFICATION, `answered ${ratio.toFixed(2)} times what was asked`);
  }

  #issued(to: ClientPath, nonce: string): void {
    const name = `${formatIp(to.remote)} ${to.remote.port}`;
    const known = this.#nonces.get(name);
    if (known === undefined) this.#nonces.set(name, new Set([nonce]));
    else known.add(nonce);
  }

  /** A sealed answer is an answer to somebody with a nonce of ours. */
  #proven(to: ClientPath, bytes: Uint8Array, code: number): void {
    const request = this.#request;
    assert.equal(request.decode(bytes), undefined);
    const nonce = request.text(Attribute.Nonce, 763) ?? "";
    assert.ok(
      this.#nonces.get(`${formatIp(to.remote)} ${to.remote.port}`)?.has(nonce),
      "the nonce was given to this address",
    );
    if (code !== 0) return;
    const session = this.sessions.get(pathName(to));
    if (request.method === Method.CreatePermission) this.#permitted(session, request);
    if (request.method === Method.ChannelBind) this.#bound(session, request);
    if (request.method === Method.Allocate) this.#allocated(request);
  }

  #allocated(request: StunView): void {
    const answer = this.#view;
    const even = request.bytes(Attribute.EvenPort);
    const first = answer.indexOf(Attribute.XorRelayedAddress);
    const address = { family: 4, w0: 0, w1: 0, w2: 0, w3: 0, port: 0, text: "" } as Address;
    assert.ok(answer.xorAddressAt(first, address));
    if (even !== undefined) assert.equal(address.port % 2, 0, "EVEN-PORT gives an even port");
    // RFC 8656 §7.2: only with R is a port reserved.
    if (answer.has(Attribute.ReservationToken)) assert.ok(((even?.[0] ?? 0) & 0x80) !== 0);
  }

  #peers(request: StunView): Address[] {
    const peers: Address[] = [];
    for (let i = 0; i < request.attributeCount; i++) {
      const peer = { family: 4, w0: 0, w1: 0, w2: 0, w3: 0, port: 0, text: "" } as Address;
      if (request.typeAt(i) === Attribute.XorPeerAddress && request.xorAddressAt(i, peer)) peers.push(peer);
    }
    return peers;
  }

  #permitted(session: Session | undefined, request: StunView): void {
    assert.ok(session, "a permission belongs to a live allocation");
    const peers = this.#peers(request);
    assert.ok(peers.length > 0);
    for (const peer of peers) this.#permit(session, peer);
  }

  #permit(session: Session, peer: Address): void {
    assert.ok(!this.isForbidden(peer), `${formatIp(peer)} may not be a peer`);
    assert.ok([...session.relays.values()].includes(peer.family), "a peer is of a family that the allocation has");
    session.permissions.set(formatIp(peer), this.#world.now + PERMISSION_MS);
  }

  #bound(session: Session | undefined, request: StunView): void {
    assert.ok(session, "a channel belongs to a live allocation");
    const [at] = this.#peers(request) as [Address];
    const number = (request.u32(Attribute.ChannelNumber) as number) >>> 16;
    const peer = `${formatIp(at)} ${at.port}`;
    assert.ok(number >= 0x4000 && number <= 0x7fff && at.port !== 0);
    const bound = session.channels.get(number);
    assert.ok(bound === undefined || bound.peer === peer, "a channel stays with its peer");
    for (const [other, channel] of session.channels) assert.ok(other === number || channel.peer !== peer);
    this.#permit(session, at);
    session.channels.set(number, { peer, ip: formatIp(at), until: this.#world.now + CHANNEL_MS });
  }

  /** A Data indication: only to who has an allocation. Who may be heard is checked where the packet went in. */
  #indication(to: ClientPath): void {
    assert.equal(this.#view.method, Method.Data);
    const session = this.sessions.get(pathName(to));
    const peer = this.#peers(this.#view)[0] as Address;
    assert.ok(session?.permissions.has(formatIp(peer)), "only a permitted peer is heard");
  }

  isForbidden(peer: Readonly<Address>): boolean {
    if (this.relays.some((relay) => sameIp(relay, peer))) return false;
    return isSpecial(peer) || this.own.some((own) => sameIp(own, peer));
  }

  #flowIsLive(flow: Flow): Session {
    const session = this.sessions.get(pathName(flow.client));
    assert.ok(session, "a flow's client has an allocation");
    assert.ok(
      session.relays.has(flow.relay) && this.#world.sockets.has(flow.relay),
      "a flow's relay is open and its client's",
    );
    return session;
  }

  /** Nothing is relayed without leave. */
  #forward({ flow }: Forward): void {
    const session = this.#flowIsLive(flow);
    const ip = formatIp(flow.peer);
    const channel = session.channels.get(flow.channel);
    if (flow.channel !== 0) assert.equal(channel?.peer, `${ip} ${flow.peer.port}`, "the channel is bound to this peer");
    if (flow.channel === 0 || flow.toward === "client") assert.ok(session.permissions.has(ip), `${ip} is permitted`);
    if (flow.toward === "peer") {
      assert.ok(!this.isForbidden(flow.peer) && !this.#isRelayAddress(flow.peer), `${ip} is no peer for a socket`);
    }
  }

  #isRelayAddress(peer: Readonly<Address>): boolean {
    return this.relays.some((relay) => sameIp(relay, peer));
  }

  /** The host's addresses changed: what is forbidden now is taken away. */
  addressesChanged(relays: Readonly<Address>[], own: Readonly<Address>[], parse: (text: string) => Address): void {
    this.relays = relays;
    this.own = own;
    for (const session of this.sessions.values()) {
      const isGone = (ip: string): boolean => this.isForbidden(parse(ip));
      for (const peer of session.permissions.keys()) if (isGone(peer)) session.permissions.delete(peer);
      for (const [number, { ip }] of session.channels) if (isGone(ip)) session.channels.delete(number);
    }
  }
}
