/**
 * The same packets through a TURN server, whatever moves them: ChannelData, Send indications, what peers send, of every
 * size, and broken ones, in bursts, over IPv4 and IPv6. `relayRandomly` says what came out, so that two datapaths can be
 * compared. What comes by different ways of the server may overtake each other, so each way has a sum that does not
 * depend on the order; on one way order is checked.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type Address, blankAddress, formatAddress } from "../../../src/core/base/address.ts";
import { parsePrefix } from "../../../src/core/base/prefix.ts";
import { Attribute, MessageClass, Method } from "../../../src/core/stun/registry.ts";
import { StunView } from "../../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../../src/core/stun/writer.ts";
import type { TurnServerStats } from "../../../src/core/turn/server/stats.ts";
import type { Datapath, DatapathStats } from "../../../src/node/datapath/datapath.ts";
import { MmsgDatapath } from "../../../src/node/datapath/mmsg.ts";
import { mutated } from "../../fuzz/mutate.ts";
import { SeededRandom } from "../../support/crypto.ts";
import { TurnClient } from "../../support/turn-client.ts";
import { until } from "../../support/until.ts";
import { alice, at, HostUnderTest } from "../host-under-test.ts";

export interface Ports {
  readonly listener: number;
  /** The first of four, for each family the same. */
  readonly peers: number;
  /** The first of two, for each family the same. */
  readonly clients: number;
}

export interface Outcome {
  /** By way, such as `send: client 0 > peer 1`. */
  readonly ways: Readonly<Record<string, { readonly count: number; readonly sum: string }>>;
  /** What came before something that was sent earlier on the same way. */
  readonly overtaken: number;
  readonly server: TurnServerStats;
  readonly drops: DatapathStats["drops"];
  readonly packetsIn: number;
  readonly bytesIn: number;
}

/** Without what there is of requests, which clients send again when the machine is busy. */
export function mediaOf({ ways, drops, server }: Outcome) {
  const { packetsToPeers, bytesToPeers, packetsToClients, bytesToClients } = server;
  return { ways, drops, unrelayed: server.drops, packetsToPeers, bytesToPeers, packetsToClients, bytesToClients };
}

/** Where it happens. */
export interface Ground {
  /** The relay's address, and that of its clients and peers. */
  readonly relay: string;
  readonly far: string;
  /** Does it where clients and peers are. */
  away<T>(work: () => Promise<T>): Promise<T>;
  /** Returns when nothing is on its way any more. */
  quiet(...count: readonly (() => number)[]): Promise<void>;
  /** Opens what speaks at a peer's address; a socket of Node's when there is none. */
  readonly openPeer?: typeof openPeer;
}

/** Something that speaks at a peer's address. */
interface PeerSocket {
  send(data: Uint8Array, port: number, ip: string): unknown;
  close(done: () => void): unknown;
}

export function onLoopback(family: 4 | 6): Ground {
  const loopback = family === 4 ? "127.0.0.1" : "::1";
  return { relay: loopback, far: loopback, away: (work) => work(), quiet: async () => {} };
}

/** The same with peers that hand the kernel what they send in a row as one message, so that it may come so. */
export function onLoopbackInRuns(family: 4 | 6): Ground {
  return {
    ...onLoopback(family),
    openPeer: openBatchingPeer,
    // All has reached its socket, and some turns of the loop are enough to read it.
    quiet: async (...counts) => {
      const counted = () => counts.map((count) => count()).join();
      for (let before = ""; before !== counted(); ) {
        before = counted();
        for (let turn = 0; turn < 20; turn++) await new Promise((done) => setImmediate(done));
      }
    },
  };
}

const clientCount = 2;
/** The first has a channel, the second a permission, as all of one address have. */
const peerCount = 2;

/** In front of every payload that nobody breaks; then what brought it, and its number. */
const MAGIC = 0x506f5374;
const KINDS = ["channel", "send", "raw"] as const;
type Kind = (typeof KINDS)[number];
const markLength = 9;

/** What a burst may fill of one queue, by the kernel's way of counting. */
const burstBytes = 150_000;
const burstPackets = 48;

const sizes = [0, 1, 3, 4, 5, 8, 9, 12, 100, 172, 172, 172, 172, 500, 1200, 1200, 1200, 1450, 1472, 1473, 2000, 9000];

/** What is in a packet is not looked at, so it comes out of one place. */
const noise = new SeededRandom(1).bytes(70_000);

function payload(random: SeededRandom, longest: number): Uint8Array {
  const size = random.oneIn(200) ? longest - random.below(3) * random.below(9) : random.pick(sizes);
  const at = random.below(16);
  return noise.slice(at, at + size);
}

function mark(data: Uint8Array, kind: Kind, number: number): Uint8Array {
  if (data.length < markLength) return data;
  const view = new DataView(data.buffer, data.byteOffset);
  view.setUint32(0, MAGIC);
  view.setUint8(4, KINDS.indexOf(kind));
  view.setUint32(5, number);
  return data;
}

/** Counts what comes out. */
class Ledger {
  readonly ways: Record<string, { count: number; sum: string }> = {};
  readonly #sums = new Map<string, bigint>();
  readonly #last = new Map<string, number>();
  overtaken = 0;
  count = 0;
  /** Numbers of the packets that end a burst, by what brought them. */
  readonly ends = new Set<string>();

  note(from: string, to: string, frame: Uint8Array): void {
    this.count++;
    const { text, content, data } = read(frame, to);
    const marked = data.length >= markLength && readU32(data, 0) === MAGIC;
    const way = `${marked ? KINDS[data[4] as number] : "short or broken"}: ${text}${from} > ${to}`;
    if (marked) {
      const number = readU32(data, 5);
      if (number < (this.#last.get(way) ?? 0)) this.overtaken++;
      this.#last.set(way, number);
      this.ends.add(`${KINDS[data[4] as number]} ${number}`);
    }
    const hash = createHash("sha256").update(content).digest();
    this.#sums.set(way, BigInt.asUintN(128, (this.#sums.get(way) ?? 0n) + hash.readBigUInt64LE() * 3n));
    const entry = (this.ways[way] ??= { count: 0, sum: "" });
    entry.count++;
  }

  finish(): Outcome["ways"] {
    for (const [way, sum] of this.#sums) (this.ways[way] as { sum: string }).sum = sum.toString(16);
    return this.ways;
  }
}

function readU32(data: Uint8Array, offset: number): number {
  return new DataView(data.buffer, data.byteOffset).getUint32(offset);
}

/** What of a frame must be the same: all but random transaction IDs, what is XORed with them, and nonces in answers. */
function read(frame: Uint8Array, to: string): { text: string; content: Uint8Array; data: Uint8Array } {
  if (!to.startsWith("client")) return { text: "", content: frame, data: frame };
  const view = new StunView();
  if (view.decode(frame) !== undefined) return { text: "", content: frame, data: frame.subarray(4) };
  const type = `${view.method}/${view.class} `;
  if (view.class !== MessageClass.Indication) {
    return {
      text: `answer ${type}`,
      content: new Uint8Array([frame.length >> 8, frame.length]),
      data: new Uint8Array(),
    };
  }
  const peer = blankAddress();
  view.xorAddressAt(view.indexOf(Attribute.XorPeerAddress), peer);
  const data = view.bytes(Attribute.Data) ?? new Uint8Array();
  return { text: `${type}${formatAddress(peer)} `, content: data, data };
}

/** What no packet here asks for: it answers a request of before, which a client has sent twice on a busy machine. */
function isGranted(frame: Uint8Array): boolean {
  const view = new StunView();
  const isSuccess = view.decode(frame) === undefined && view.class === MessageClass.Success;
  return isSuccess && view.method !== Method.Binding;
}

class Side {
  readonly client: TurnClient;
  readonly relay: Address;
  readonly index: number;
  constructor(client: TurnClient, relay: Address, index: number) {
    this.client = client;
    this.relay = relay;
    this.index = index;
  }
}

async function openBatchingPeer(
  ip: string,
  port: number,
  hear: (data: Buffer, from: string) => void,
): Promise<PeerSocket> {
  const datapath = new MmsgDatapath();
  const { promise: opened, resolve } = Promise.withResolvers<void>();
  const socket = datapath.bind(at(ip, port), "relay", {
    handleBound: () => resolve(),
    handleBindFailed: (_socket, _why, cause) => assert.ifError(cause),
    handleDatagram: (data, length, from) => hear(Buffer.from(data.subarray(0, length)), formatAddress(from)),
  });
  await opened;
  return {
    send: (data, to, toIp) => datapath.send(socket, data, 0, data.length, at(toIp, to)),
    close: (done) => datapath.close().then(done),
  };
}

async function openPeer(ip: string, port: number, hear: (data: Buffer, from: string) => void): Promise<PeerSocket> {
  const socket = createSocket({ type: ip.includes(":") ? "udp6" : "udp4", recvBufferSize: 1 << 20 });
  socket.on("message", (data, from) => hear(data, formatAddress(at(from.address, from.port))));
  socket.bind(port, ip);
  await once(socket, "listening");
  return socket;
}

function sendIndication(peer: Readonly<Address>, data: Uint8Array, number: number): Uint8Array {
  const id = new Uint8Array(12);
  new DataView(id.buffer).setUint32(0, number);
  const writer = new StunWriter().begin(Method.Send, MessageClass.Indication, messageId(id));
  return writer.xorAddress(Attribute.XorPeerAddress, peer).bytes(Attribute.Data, data).finish();
}

function channelData(channel: number, data: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(channel >> 8, channel, data.length >> 8, data.length), data]);
}

const channel = 0x4000;

export async function relayRandomly(
  datapath: Datapath,
  family: 4 | 6,
  ports: Ports,
  seed: number,
  packets: number,
  ground: Ground = onLoopback(family),
): Promise<Outcome> {
  await using held = new AsyncDisposableStack();
  const { relay: ip, far } = ground;
  const bound = at(ip);
  const t = held.use(
    await HostUnderTest.create(
      { datapath },
      {
        relays: [{ bound, advertised: bound }],
        peers: {
          allow: [parsePrefix(`${far}/${family === 4 ? 32 : 128}`)!],
          deny: [],
          // Broken messages reach nobody else's.
          ports: { min: ports.peers, max: ports.peers + peerCount - 1 },
        },
      },
    ),
  );
  await t.host.listen({ transport: "udp", address: at(ip, ports.listener) });
  const ledger = new Ledger();
  const names = new Map<string, string>();
  const peers: { socket: PeerSocket; address: Address }[] = [];
  const open = ground.openPeer ?? openPeer;
  for (let i = 0; i < peerCount; i++) {
    const socket = await ground.away(() =>
      open(far, ports.peers + i, (data, from) => ledger.note(names.get(from) ?? "nobody", `peer ${i}`, data)),
    );
    held.defer(() => new Promise<void>((done) => void socket.close(done)));
    peers.push({ socket, address: at(far, ports.peers + i) });
  }
  const sides: Side[] = [];
  for (let i = 0; i < clientCount; i++) {
    let isSetUp = false;
    const client = held.use(
      await ground.away(() =>
        TurnClient.connect({
          ...{ host: ip, port: ports.listener, from: far, fromPort: ports.clients + i, ...alice },
          onFrame: (frame) => {
            if (isSetUp && !isGranted(frame)) ledger.note("server", `client ${i}`, frame);
            return isSetUp;
          },
        }),
      ),
    );
    const { relayed } = await client.allocate({ family });
    await client.bindChannel(channel, (peers[0] as { address: Address }).address);
    isSetUp = true;
    names.set(formatAddress(relayed[0] as Address), `client ${i}`);
    sides.push(new Side(client, relayed[0] as Address, i));
  }
  await run(new SeededRandom(seed), { sides, peers, ledger, ip, family }, packets);
  const { server } = t.host.stats;
  await ground.quiet(
    () => ledger.count,
    () => server.packetsToPeers + server.packetsToClients,
  );
  const { drops, packetsIn, bytesIn } = datapath.stats;
  return {
    ways: ledger.finish(),
    overtaken: ledger.overtaken,
    server: structuredClone(server),
    drops,
    packetsIn,
    bytesIn,
  };
}

interface Field {
  readonly sides: readonly Side[];
  readonly peers: readonly { socket: PeerSocket; address: Address }[];
  readonly ledger: Ledger;
  readonly ip: string;
  readonly family: 4 | 6;
}

async function run(random: SeededRandom, field: Field, packets: number): Promise<void> {
  const { sides, peers, ledger, ip, family } = field;
  const longest = family === 4 ? 65_507 : 65_527;
  const seeds = [
    channelData(channel, noise.slice(0, 40)),
    sendIndication((peers[1] as { address: Address }).address, noise.slice(0, 40), 0),
    new StunWriter().begin(Method.Binding, MessageClass.Request, messageId(new Uint8Array(12))).finish(),
    new StunWriter().begin(Method.Refresh, MessageClass.Request, messageId(new Uint8Array(12))).finish(),
  ];
  let number = 0;
  const ways: readonly ((random: SeededRandom, side: Side) => number)[] = [
    (r, { client }) => {
      const data = mark(payload(r, longest - 4), "channel", ++number);
      client.sendFrame(channelData(channel, data));
      return data.length;
    },
    (r, { client }) => {
      const data = mark(payload(r, longest - (family === 4 ? 36 : 48)), "send", ++number);
      client.sendFrame(sendIndication(r.pick(peers).address, data, number));
      return data.length;
    },
    (r, { relay }) => {
      const data = mark(payload(r, longest), "raw", ++number);
      r.pick(peers).socket.send(data, relay.port, ip);
      return data.length;
    },
    (r, { client }) => {
      const data = mutated(seeds, r);
      client.sendFrame(data);
      number++;
      return data.length;
    },
  ];
  while (number < packets) {
    // A run of the same, as of a video frame, or anything.
    const one = random.oneIn(3) ? random.pick(ways) : undefined;
    const side = random.oneIn(2) ? random.pick(sides) : undefined;
    let room = burstBytes;
    for (let left = 1 + random.below(burstPackets); left > 0 && room > 0; left--) {
      room -= 768 + 2 * (one ?? random.pick(ways))(random, side ?? random.pick(sides));
    }
    const ends: string[] = [];
    const end = (kind: Kind): Uint8Array => {
      ends.push(`${kind} ${++number}`);
      return mark(new Uint8Array(20), kind, number);
    };
    for (const { client, relay } of sides) {
      client.sendFrame(channelData(channel, end("channel")));
      client.sendFrame(sendIndication((peers[0] as { address: Address }).address, end("send"), number));
      for (const { socket } of peers) socket.send(end("raw"), relay.port, ip);
    }
    const deadline = performance.now() + 20_000;
    while (!ends.every((name) => ledger.ends.has(name))) {
      if (performance.now() > deadline)
        await until(`the end of a burst at packet ${number}`, () => false, { within: 1 });
      await new Promise((done) => setImmediate(done));
    }
    ledger.ends.clear();
  }
}
