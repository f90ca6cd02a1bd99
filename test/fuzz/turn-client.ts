/**
 * The TURN client in each of its phases, fed with what a server, or somebody who plays one, might send. Nothing throws; a
 * payload lies inside its datagram; what is not sealed with the key takes no allocation away; and closing always ends.
 */
import assert from "node:assert/strict";
import { copyAddress, parseIp } from "../../src/core/base/address.ts";
import type { Instant, UnixSeconds } from "../../src/core/base/machine.ts";
import { longTermKey } from "../../src/core/stun/credentials.ts";
import { hasIntegritySha256 } from "../../src/core/stun/integrity.ts";
import { Attribute, MessageClass, Method, PasswordAlgorithmNumber } from "../../src/core/stun/registry.ts";
import { encodeNonceCookie } from "../../src/core/stun/security-features.ts";
import { StunView } from "../../src/core/stun/view.ts";
import { StunWriter } from "../../src/core/stun/writer.ts";
import { TurnClient } from "../../src/core/turn/client/turn-client.ts";
import { clientConfig } from "../core/turn/client/pair.ts";
import { SeededRandom, testCrypto } from "../support/crypto.ts";
import type { Target } from "./target.ts";

const REALM = "example.org";
const key = testCrypto.importKey(
  longTermKey(testCrypto, PasswordAlgorithmNumber.Sha256, clientConfig.username, REALM, clientConfig.password),
);
const peer = parseIp("8.8.4.4", 7000) as NonNullable<ReturnType<typeof parseIp>>;
const relayed = { ...peer, port: 50_000 };
const NOW = 1000 as Instant;
/** More than any one message makes the client ask for. */
const MOST_OUTPUTS = 40;

/** A client whose transaction IDs are the same in every run. */
class Fed {
  readonly client: TurnClient = new TurnClient(clientConfig, {
    crypto: testCrypto,
    random: new SeededRandom(3),
    wallClock: { now: () => 0 as UnixSeconds },
  });
  /** Bytes 4 to 20 of every request, in order. */
  readonly ids: Uint8Array[] = [];
  outputs = 0;
  ended = false;

  constructor() {
    this.client.open(NOW);
    this.client.handleConnected(NOW);
    this.drain();
  }

  feed(data: Uint8Array): ReturnType<TurnClient["handleServerDatagram"]> {
    const incoming = this.client.handleServerDatagram(data, data.length, NOW);
    this.drain();
    return incoming;
  }

  drain(): void {
    for (let o = this.client.pollOutput(); o !== undefined; o = this.client.pollOutput()) {
      this.outputs++;
      if (o.kind === "send") this.ids.push(o.data.slice(4, 20));
      if (o.kind === "event" && o.event.type === "ended") this.ended = true;
    }
  }

  /** Takes it to `phase`: 0 asks without credentials, 1 with, 2 has an allocation and asks for a channel, 3 has both. */
  reach(phase: number): this {
    if (phase >= 1) this.feed(challenge(this.ids[0] as Uint8Array, 401));
    if (phase >= 2) {
      this.feed(granted(this.ids[1] as Uint8Array));
      assert.ok(this.client.isLive);
      this.client.bind(peer, NOW);
      this.client.permit({ ...copyAddress(peer), w3: 0x01010101 }, NOW);
      this.drain();
    }
    if (phase >= 3) this.feed(sealed(this.ids[2] as Uint8Array, Method.ChannelBind));
    return this;
  }
}

const PHASES = 4;

function answer(id: Uint8Array, method: number, messageClass: MessageClass): StunWriter {
  return new StunWriter().begin(method, messageClass, id);
}

function challenge(id: Uint8Array, code: number): Uint8Array {
  return answer(id, Method.Allocate, MessageClass.Error)
    .errorCode(code)
    .text(Attribute.Realm, REALM)
    .text(Attribute.Nonce, `${encodeNonceCookie(1)}0123456789abcdef`)
    .bytes(Attribute.PasswordAlgorithms, Uint8Array.of(0, 2, 0, 0, 0, 1, 0, 0))
    .finish();
}

function granted(id: Uint8Array): Uint8Array {
  return answer(id, Method.Allocate, MessageClass.Success)
    .xorAddress(Attribute.XorRelayedAddress, relayed)
    .xorAddress(Attribute.XorMappedAddress, peer)
    .u32(Attribute.Lifetime, 600)
    .integritySha256(testCrypto, key)
    .finish();
}

function sealed(id: Uint8Array, method: number): Uint8Array {
  return answer(id, method, MessageClass.Success).integritySha256(testCrypto, key).finish();
}

function refused(id: Uint8Array, method: number, code: number): Uint8Array {
  const writer = answer(id, method, MessageClass.Error).errorCode(code).address(Attribute.AlternateServer, relayed);
  return writer.integritySha256(testCrypto, key).finish();
}

/** The IDs of every request that a client in any phase has sent. */
const ids: readonly Uint8Array[] = new Fed().reach(PHASES - 1).ids;
const [plainId, allocateId, channelId, permissionId] = ids as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];

const seeds: readonly Uint8Array[] = [
  challenge(plainId, 401),
  challenge(allocateId, 438),
  granted(allocateId),
  granted(plainId),
  refused(allocateId, Method.Allocate, 300),
  refused(allocateId, Method.Allocate, 437),
  refused(allocateId, Method.Allocate, 508),
  sealed(channelId, Method.ChannelBind),
  refused(channelId, Method.ChannelBind, 437),
  sealed(permissionId, Method.CreatePermission),
  refused(permissionId, Method.CreatePermission, 403),
  answer(plainId, Method.Data, MessageClass.Indication)
    .xorAddress(Attribute.XorPeerAddress, peer)
    .bytes(Attribute.Data, new Uint8Array(33))
    .finish(),
  Uint8Array.of(0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0),
];

const view = new StunView();

function isSealed(data: Uint8Array): boolean {
  return view.decode(data.slice()) === undefined && hasIntegritySha256(view, testCrypto, key, 32);
}

/** Gives the message a length that fits, the ID of one of the client's requests, and sometimes a seal. */
function repaired(input: Uint8Array, random: SeededRandom): Uint8Array {
  if (input.length < 20 || (input[0] as number) >= 0x40 || random.oneIn(4)) return input;
  const out = input.slice(0, input.length - (input.length % 4));
  out.set(random.pick(ids), 4);
  new DataView(out.buffer).setUint16(2, out.length - 20);
  if (random.oneIn(2) || view.decode(out) !== undefined) return out;
  const writer = answer(out.slice(4, 20), view.method, view.class);
  for (let i = 0; i < view.attributeCount; i++) {
    const isSeal = view.typeAt(i) === Attribute.MessageIntegritySha256 || view.typeAt(i) === Attribute.Fingerprint;
    if (!isSeal) writer.bytes(view.typeAt(i), view.bytesAt(i));
  }
  return writer.integritySha256(testCrypto, key).finish();
}

/** Closes, and lets whatever is under way come to its end. */
function close(fed: Fed): void {
  const { client } = fed;
  client.close(NOW);
  fed.drain();
  for (let steps = 0; client.pollTimeout() !== undefined; steps++) {
    assert.ok(steps < 10, "closing comes to an end");
    client.handleTimeout(client.pollTimeout() as Instant);
    fed.drain();
  }
  assert.ok(fed.ended);
}

export const turnClientTarget: Target = {
  name: "turn-client",
  oneIn: 10,
  seeds,
  repair: repaired,
  run(input: Uint8Array, random: SeededRandom): boolean {
    const phase = random.below(PHASES);
    const fed = new Fed().reach(phase);
    const { client } = fed;
    const wasLive = client.isLive;
    const before = fed.outputs;
    const incoming = fed.feed(input.slice());
    if (incoming !== undefined) {
      assert.ok(wasLive && incoming.offset >= 4 && incoming.offset + incoming.length <= input.length);
    }
    assert.ok(fed.outputs - before <= MOST_OUTPUTS);
    // A server that asks for no credentials answers the first request at once.
    if (phase > 0 && !isSealed(input))
      assert.equal(client.isLive, wasLive, "only who knows the key gives and takes allocations");
    const isAccepted = incoming !== undefined || fed.outputs > before;
    close(fed);
    return isAccepted;
  },
  decode: (input) => void steady.client.handleServerDatagram(input, input.length, NOW),
};

/** For the count of steps: it is fed without being drained or closed. */
const steady: Fed = new Fed().reach(PHASES - 1);
