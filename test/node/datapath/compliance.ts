/**
 * What every datapath must do, whatever moves the packets, on loopback or over links. `datapathCompliance` declares the tests;
 * the far side of each is a plain socket of Node's, which knows nothing of datapaths.
 */
import assert from "node:assert/strict";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { describe, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  type Address,
  type ClientAddress,
  copyAddress,
  formatAddress,
  type PeerAddress,
  parseIp,
} from "../../../src/core/base/address.ts";
import { PosternError } from "../../../src/core/base/failure.ts";
import { type IpFields, ipFieldsOf, NO_FIELDS } from "../../../src/core/base/ip-fields.ts";
import type { Instant } from "../../../src/core/base/machine.ts";
import { Account } from "../../../src/core/turn/server/account.ts";
import type { Flow } from "../../../src/core/turn/server/flow.ts";
import { createStats } from "../../../src/core/turn/server/stats.ts";
import { monotonicNow } from "../../../src/node/clock.ts";
import type {
  BindFailure,
  DatagramSink,
  Datapath,
  SocketId,
  SocketPurpose,
} from "../../../src/node/datapath/datapath.ts";
import { requireIpv6, type Skip } from "../../support/peers.ts";
import { freePort } from "../../support/ports.ts";
import { until } from "../../support/until.ts";

interface Datagram {
  data: Buffer;
  from: string;
}

/** Of the sockets that the far side of these tests has. */
const systemHops = 64;

/** Where the datapath stands, and where those it speaks to do. */
export interface Place {
  readonly near: Readonly<Record<4 | 6, string>>;
  readonly far: Readonly<Record<4 | 6, string>>;
  /** Does it where the far side is. */
  away<T>(work: () => Promise<T>): Promise<T>;
  /** Whether packets come by an interface at which the kernel can forward them. */
  readonly isLinked: boolean;
}

const loopback = { 4: "127.0.0.1", 6: "::1" } as const;
const onLoopback: Place = { near: loopback, far: loopback, away: (work) => work(), isLinked: false };

/** A sink that keeps what it hears. */
export class Recorder implements DatagramSink {
  socket: SocketId | undefined;
  address: Readonly<Address> | undefined;
  failure: BindFailure | undefined;
  readonly datagrams: Datagram[] = [];
  /** With what each came. */
  readonly fields: (IpFields | undefined)[] = [];
  calls = 0;

  handleBound(socket: SocketId, address: Readonly<Address>): void {
    this.calls++;
    this.socket = socket;
    this.address = address;
  }

  handleBindFailed(_socket: SocketId, why: BindFailure, cause: Error): void {
    this.calls++;
    assert.ok(cause instanceof Error);
    this.failure = why;
  }

  handleDatagram(data: Uint8Array, length: number, from: Readonly<Address>, _fill?: number, fields?: IpFields): void {
    this.calls++;
    this.fields.push(fields);
    this.datagrams.push({ data: Buffer.from(data.subarray(0, length)), from: formatAddress(from) });
  }
}

export class Peer implements AsyncDisposable {
  readonly socket: Socket;
  readonly received: Datagram[] = [];

  constructor(family: 4 | 6) {
    this.socket = createSocket({ type: `udp${family}`, recvBufferSize: 1 << 20 });
    this.socket.on("message", (data: Buffer, from: RemoteInfo) => {
      this.received.push({ data, from: formatAddress(parseIp(from.address, from.port) as Address) });
    });
  }

  async open(ip: string): Promise<Address> {
    this.socket.bind(0, ip);
    await once(this.socket, "listening");
    return parseIp(ip, this.socket.address().port) as Address;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.socket, "close");
    this.socket.close();
    await closed;
  }
}

export const channel = 0x4001;

/** A client's channel to a peer, as a server has it: what comes up goes on, and flows are offered and taken back. */
export class RelayedChannel {
  readonly #datapath: Datapath;
  readonly #client: Readonly<Address>;
  readonly #peer: Readonly<Address>;
  #flows: readonly [Flow, Flow] | undefined;
  #sockets: readonly [SocketId, SocketId] | undefined;
  #make: ((toward: Flow["toward"], until: Instant) => Flow) | undefined;
  readonly seen = { up: 0, down: 0 };
  #told: readonly [number, number] = [0, 0];

  constructor(datapath: Datapath, client: Readonly<Address>, peer: Readonly<Address>) {
    this.#datapath = datapath;
    this.#client = copyAddress(client);
    this.#peer = copyAddress(peer);
  }

  begin(listener: Recorder & { socket: SocketId; address: Address }, relay: Recorder & { socket: SocketId }): void {
    const [datapath, client, peer] = [this.#datapath, this.#client, this.#peer];
    listener.handleDatagram = (data, length) => {
      this.seen.up++;
      datapath.send(relay.socket, data, 4, length - 4, peer);
    };
    relay.handleDatagram = (data, length) => {
      this.seen.down++;
      datapath.sendChannelData(listener.socket, channel, data, 0, length, client);
    };
    this.#sockets = [listener.socket, relay.socket];
    const path = {
      ...({ transport: "udp", connection: 0 } as const),
      ...{ listener: listener.socket, local: listener.address, remote: client as ClientAddress },
    };
    const account = new Account(createStats(), undefined, undefined);
    this.#make = (toward, until) => ({
      ...{ toward, client: path, channel, relay: relay.socket, peer: peer as PeerAddress },
      ...{ account, packets: 0, bytes: 0, until },
    });
  }

  offer(until: number): void {
    this.#flows = [this.#make!("peer", until as Instant), this.#make!("client", until as Instant)];
    for (const flow of this.#flows) this.#datapath.offload(flow, ...this.#sockets!);
  }

  /** How many packets the datapath says to have forwarded, of each. */
  get told(): readonly [number, number] {
    const [toPeer, toClient] = this.#flows ?? [{ packets: 0 }, { packets: 0 }];
    return [this.#told[0] + toPeer.packets, this.#told[1] + toClient.packets];
  }

  takeBack(): void {
    for (const flow of this.#flows ?? []) this.#datapath.withdraw(flow);
    this.#told = this.told;
    this.#flows = undefined;
  }
}

/** Bytes that differ from place to place and from size to size. */
export function pattern(length: number, seed = length): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17 + (i >> 8)) & 255));
}

export function channelData(channel: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16BE(channel, 0);
  header.writeUInt16BE(payload.length, 2);
  return Buffer.concat([header, payload]);
}

const sizes = [0, 1, 2, 3, 4, 5, 171, 172, 1200, 1472, 1501, 9000, 65_503];

const families = [
  { family: 4, elsewhere: "192.0.2.1", wildcard: "0.0.0.0" },
  { family: 6, elsewhere: "2001:db8::1", wildcard: "::" },
] as const;

export function datapathCompliance(
  name: string,
  create: () => Datapath,
  notHere: Skip = false,
  place: Place = onLoopback,
): void {
  async function bound(
    datapath: Datapath,
    ip: string,
    port = 0,
    purpose: SocketPurpose = "relay",
  ): Promise<Recorder & { socket: SocketId; address: Address }> {
    const sink = new Recorder();
    datapath.bind(parseIp(ip, port) as Address, purpose, sink);
    await until("the socket to open", () => sink.address ?? sink.failure);
    assert.equal(sink.failure, undefined);
    return sink as Recorder & { socket: SocketId; address: Address };
  }

  async function withDatapath(run: (datapath: Datapath) => Promise<void>): Promise<void> {
    const datapath = create();
    try {
      await run(datapath);
    } finally {
      await datapath.close();
      assert.equal(datapath.stats.sockets, 0);
    }
  }

  /** Two of them: on one host, where the network is loopback, one is both. */
  const withTwo = (run: (datapath: Datapath, far: Datapath) => Promise<void>): Promise<void> =>
    withDatapath(async (datapath) => {
      if (!place.isLinked) return run(datapath, datapath);
      const far = await place.away(async () => create());
      try {
        await run(datapath, far);
      } finally {
        await far.close();
      }
    });

  for (const { family, elsewhere, wildcard } of families) {
    const skip = notHere || (family === 6 && requireIpv6());
    const [near, away] = [place.near[family], place.far[family]];
    const openAway = (peer: Peer) => place.away(() => peer.open(away));
    const boundAway = (far: Datapath) => place.away(() => bound(far, away));

    describe(`${name} over IPv${family}`, { skip }, () => {
      test("binds exactly the address and port asked for, and any free port for 0", () =>
        withDatapath(async (datapath) => {
          const port = await freePort();
          const exact = await bound(datapath, near, port);
          assert.equal(formatAddress(exact.address), formatAddress(parseIp(near, port) as Address));
          const any = await bound(datapath, near);
          assert.notEqual(any.address.port, 0);
          assert.equal(datapath.stats.sockets, 2);
        }));

      test("says nothing before bind has returned", () =>
        withDatapath(async (datapath) => {
          const sink = new Recorder();
          datapath.bind(parseIp(near) as Address, "listener", sink);
          assert.equal(sink.calls, 0);
          await until("the socket to open", () => sink.address);
        }));

      test("reports a port that is taken as busy, and its number is free again", () =>
        withDatapath(async (datapath) => {
          const first = await bound(datapath, near);
          const sink = new Recorder();
          const id = datapath.bind(first.address, "relay", sink);
          assert.equal(await until("a failure", () => sink.failure), "busy");
          assert.equal(datapath.stats.bindFailures.busy, 1);
          assert.equal(datapath.stats.sockets, 1);
          datapath.release(id);
          const [second, third] = [await bound(datapath, near), await bound(datapath, near)];
          assert.equal(second.socket, id);
          assert.equal(new Set([first.socket, second.socket, third.socket]).size, 3);
        }));

      test("reports an address of another host as gone", () =>
        withDatapath(async (datapath) => {
          const sink = new Recorder();
          datapath.bind(parseIp(elsewhere) as Address, "relay", sink);
          assert.equal(await until("a failure", () => sink.failure), "gone");
          assert.equal(datapath.stats.bindFailures.gone, 1);
        }));

      test("refuses a wildcard", () =>
        withDatapath(async (datapath) => {
          assert.throws(
            () => datapath.bind(parseIp(wildcard) as Address, "relay", new Recorder()),
            (e) => e instanceof PosternError && e.code === "wildcard-address",
          );
        }));

      test("a sink may release and bind again from inside a failure", () =>
        withDatapath(async (datapath) => {
          const taken = await bound(datapath, near);
          const again = new Recorder();
          const sink = new Recorder();
          sink.handleBindFailed = (socket) => {
            datapath.release(socket);
            datapath.bind(parseIp(near) as Address, "relay", again);
          };
          datapath.bind(taken.address, "relay", sink);
          await until("the second socket to open", () => again.address);
          const other = await bound(datapath, near);
          assert.equal(new Set([taken.socket, again.socket, other.socket]).size, 3);
        }));

      test("hands up every size whole, with the source it came from", () =>
        withDatapath(async (datapath) => {
          const sink = await bound(datapath, near);
          await using peer = new Peer(family);
          const source = formatAddress(await openAway(peer));
          for (const [i, size] of [...sizes, 65_507].entries()) {
            peer.socket.send(pattern(size), sink.address.port, near);
            const got = await until(`${size} bytes`, () => sink.datagrams[i]);
            assert.deepEqual(got, { data: pattern(size), from: source });
          }
          assert.equal(datapath.stats.packetsIn, sizes.length + 1);
          assert.equal(
            datapath.stats.bytesIn,
            sizes.reduce((a, b) => a + b, 65_507),
          );
        }));

      test("sends exactly the bytes asked for, from the address that is bound", () =>
        withDatapath(async (datapath) => {
          const sink = await bound(datapath, near);
          await using peer = new Peer(family);
          const to = await openAway(peer);
          for (const [i, size] of [...sizes, 65_507].entries()) {
            const window = Buffer.concat([pattern(7, 1), pattern(size), pattern(9, 2)]);
            assert.equal(datapath.send(sink.socket, window, 7, size, to), true);
            const got = await until(`${size} bytes`, () => peer.received[i]);
            assert.deepEqual(got, { data: pattern(size), from: formatAddress(sink.address) });
          }
          assert.equal(datapath.stats.packetsOut, sizes.length + 1);
          assert.equal(
            datapath.stats.bytesOut,
            sizes.reduce((a, b) => a + b, 65_507),
          );
        }));

      test("puts a ChannelData header in front, byte for byte, and leaves the payload alone", () =>
        withDatapath(async (datapath) => {
          const sink = await bound(datapath, near);
          await using peer = new Peer(family);
          const to = await openAway(peer);
          for (const [i, size] of sizes.entries()) {
            const window = Buffer.concat([pattern(20, 1), pattern(size), pattern(3, 2)]);
            const before = Buffer.from(window);
            assert.equal(datapath.sendChannelData(sink.socket, 0x4000 + i, window, 20, size, to), true);
            const got = await until(`${size} bytes`, () => peer.received[i]);
            assert.deepEqual(got, { data: channelData(0x4000 + i, pattern(size)), from: formatAddress(sink.address) });
            assert.deepEqual(window, before);
          }
        }));

      test("RFC 8656 §14: says with what a datagram came, and sends one with it, or says that it cannot", () =>
        withTwo(async (datapath, far) => {
          const out = await boundAway(far);
          const there = await bound(datapath, near, 0, "turn-listener");
          const ways = [
            NO_FIELDS,
            ipFieldsOf(0xb8, 57),
            ipFieldsOf(0xb8, 57),
            ipFieldsOf(0x01, 0),
            ipFieldsOf(0x00, 1),
            ipFieldsOf(0xff, 255),
          ];
          // Few and many of the same in a row, alone and together, of one length and of several.
          const sent = Array.from({ length: 400 }, (_, i) => ways[i < 200 ? i % 6 : 1 + (Math.floor(i / 50) % 5)]!);
          // No requests, which would overtake the rest.
          const media = (i: number) => Buffer.concat([Buffer.of(0x80), pattern(100 + (i % 7 === 0 ? 1 : 0), i)]);
          for (const [i, fields] of sent.entries()) {
            const data = media(i);
            if (i % 3 === 0) far.sendChannelData(out.socket, 0x4000, data, 0, data.length, there.address, fields);
            else far.send(out.socket, data, 0, data.length, there.address, fields);
            if (i % 5 === 0) await until("what was sent", () => there.datagrams.length === i + 1);
          }
          await until("what was sent", () => there.datagrams.length === sent.length);
          for (const [i, { data }] of there.datagrams.entries()) {
            assert.deepEqual(data, i % 3 === 0 ? channelData(0x4000, media(i)) : media(i));
          }
          const arrives = (fields: IpFields) => (fields >> 8 === 0 ? fields | (systemHops << 8) : fields);
          assert.deepEqual(
            there.fields,
            sent.map((fields) => (datapath.carriesFields ? arrives(fields) : undefined)),
          );
        }));

      test("RFC 8656 §14: at a relay it may say so late when marks begin, and from then on of every datagram", () =>
        withTwo(async (datapath, far) => {
          const [out, there] = [await boundAway(far), await bound(datapath, near)];
          let sent = 0;
          /** So many, one after the other, and of each what is told. */
          const send = async (...trafficClasses: readonly number[]): Promise<(IpFields | undefined)[]> => {
            for (const trafficClass of trafficClasses) {
              const data = pattern(50, ++sent);
              far.send(out.socket, data, 0, data.length, there.address, ipFieldsOf(trafficClass, 33));
              const end = performance.now() + 10_000;
              while (there.datagrams.length < sent && performance.now() < end) await nextTurn();
            }
            assert.equal(there.datagrams.length, sent);
            return there.fields.slice(-trafficClasses.length);
          };
          const told = (...trafficClasses: readonly number[]) =>
            trafficClasses.map((one) => (datapath.carriesFields ? ipFieldsOf(one, 33) : undefined));
          const many = (count: number, trafficClass: number) => Array<number>(count).fill(trafficClass);
          assert.deepEqual(await send(...many(40, 0)), told(...many(40, 0)));
          const begin = await send(...many(40, 0xb8));
          const late = begin.indexOf(told(0xb8)[0]);
          assert.ok(late >= 0 && late < 16, `${late} were not looked at`);
          assert.deepEqual([...new Set(begin.slice(late))], told(0xb8));
          const mixed = Array.from({ length: 200 }, (_, i) => [0x01, 0, 0xb9][i % 3] as number);
          assert.deepEqual(await send(...mixed), told(...mixed));
          // Quiet for long, and then not.
          assert.deepEqual(await send(...many(1_100, 0)), told(...many(1_100, 0)));
          assert.deepEqual((await send(...many(17, 0x88))).at(-1), told(0x88)[0]);
        }));

      test("runs of one length, as of a frame of video, come up one by one, in order, and go on", () =>
        withTwo(async (datapath, far) => {
          const [out, back] = [await boundAway(far), await bound(datapath, near, 0, "turn-listener")];
          const sink = new Recorder();
          const fields = ipFieldsOf(0x88, 42);
          sink.handleDatagram = (data, length, from, fill, came) => {
            Recorder.prototype.handleDatagram.call(sink, data, length, from, fill, came);
            if (sink.datagrams.length % 2 === 0) datapath.send(back.socket, data, 1, length - 1, out.address, came);
            else datapath.sendChannelData(back.socket, 0x4001, data, 0, length, out.address, came);
          };
          datapath.bind(parseIp(near) as Address, "relay", sink);
          const { address } = { address: await until("the socket to open", () => sink.address) };
          const expected: Buffer[] = [];
          for (let burst = 0; burst < 60; burst++) {
            // The last of each is shorter, or as long.
            const count = 2 + ((burst * 7) % 40);
            for (let i = 0; i < count; i++) {
              const data = pattern(i + 1 < count ? 1_200 - (burst % 3) * 400 : 1 + ((burst * 31) % 400), burst + i);
              expected.push(data);
              far.send(out.socket, data, 0, data.length, address, fields);
            }
            await until("the burst", () => out.datagrams.length === expected.length);
          }
          assert.deepEqual(
            sink.datagrams.map(({ data }) => data),
            expected,
          );
          assert.deepEqual([...new Set(sink.fields)], [datapath.carriesFields ? fields : undefined]);
          assert.deepEqual(
            out.datagrams.map(({ data }) => data),
            expected.map((data, i) => (i % 2 === 1 ? data.subarray(1) : channelData(0x4001, data))),
          );
        }));

      test("a listener that is none of TURN's is told nothing of what came besides", () =>
        withDatapath(async (datapath) => {
          const sink = new Recorder();
          datapath.bind(parseIp(near) as Address, "listener", sink);
          const { port } = await until("the socket to open", () => sink.address);
          await using peer = new Peer(family);
          await openAway(peer);
          for (let i = 0; i < 9; i++) peer.socket.send(pattern(9), port, near);
          await until("what was sent", () => sink.datagrams.length === 9);
          assert.deepEqual([...new Set(sink.fields)], [undefined]);
        }));

      test("a datagram goes on from inside the call that handed it up", () =>
        withDatapath(async (datapath) => {
          const out = await bound(datapath, near);
          await using peer = new Peer(family);
          const to = copyAddress(await openAway(peer));
          const sink = new Recorder();
          sink.handleDatagram = (data, length) => {
            datapath.sendChannelData(out.socket, 0x4001, data, 0, length, to);
            datapath.send(out.socket, data, 1, length - 1, to);
          };
          datapath.bind(parseIp(near) as Address, "relay", sink);
          const { port } = await until("the socket to open", () => sink.address);
          for (let i = 0; i < 40; i++) peer.socket.send(pattern(100, i), port, near);
          await until("80 datagrams", () => peer.received.length === 80);
          for (let i = 0; i < 40; i++) {
            assert.deepEqual(peer.received[2 * i]?.data, channelData(0x4001, pattern(100, i)));
            assert.deepEqual(peer.received[2 * i + 1]?.data, pattern(100, i).subarray(1));
          }
        }));

      test("a flow's packets come out the same, forwarded or handed up, until it is taken back or its end has come", () =>
        withDatapath(async (datapath) => {
          const forwards = place.isLinked && datapath.offloaded !== undefined;
          await using client = new Peer(family);
          await using peer = new Peer(family);
          const relayed = new RelayedChannel(datapath, await openAway(client), await openAway(peer));
          const listener = await bound(datapath, near, 0, "turn-listener");
          const relay = await bound(datapath, near);
          relayed.begin(listener, relay);
          let rounds = 0;
          /** Returns how many came up, of each direction's. */
          const exchange = async (): Promise<{ up: number; down: number }> => {
            const before = { ...relayed.seen };
            for (const size of sizes) {
              const [text, nth] = [pattern(size, size + rounds), peer.received.length];
              client.socket.send(channelData(channel, text), listener.address.port, near);
              const there = await until(`${size} bytes at the peer`, () => peer.received[nth]);
              assert.deepEqual(there, { data: text, from: formatAddress(relay.address) });
              peer.socket.send(text, relay.address.port, near);
              const back = await until(`${size} bytes at the client`, () => client.received[nth]);
              assert.deepEqual(back, { data: channelData(channel, text), from: formatAddress(listener.address) });
            }
            rounds++;
            return { up: relayed.seen.up - before.up, down: relayed.seen.down - before.down };
          };
          const all = { up: sizes.length, down: sizes.length };
          assert.deepEqual(await exchange(), all);
          relayed.offer(monotonicNow() + 60_000);
          // With the headers of IP and UDP in 1,500 bytes, and for the client with a channel's.
          const short = sizes.filter((size) => size <= 1_500 - (family === 4 ? 28 : 48) - 4).length;
          if (forwards) await until("both to be in the kernel", () => datapath.offloaded?.flows === 2);
          const some = { up: sizes.length - short, down: sizes.length - short };
          assert.deepEqual(await exchange(), forwards ? some : all);
          const told = forwards ? [short, short] : [0, 0];
          await until("what was forwarded to be told", () => `${relayed.told}` === `${told}`);
          relayed.takeBack();
          assert.deepEqual(await exchange(), all);
          relayed.offer(monotonicNow() - 1);
          assert.deepEqual(await exchange(), all);
          relayed.takeBack();
          if (forwards) assert.equal(datapath.offloaded?.datagrams.failed, 0);
          assert.deepEqual(relayed.told, told);
        }));

      test("counts and drops what cannot be sent", () =>
        withDatapath(async (datapath) => {
          const { socket, address } = await bound(datapath, near);
          const { drops } = datapath.stats;
          const max = family === 4 ? 65_507 : 65_527;
          const data = Buffer.alloc(max + 1);
          const nowhere = parseIp(near, 0) as Address;
          const other = parseIp(family === 4 ? "::1" : "127.0.0.1", address.port) as Address;
          assert.equal(datapath.send(socket, data, 0, 10, nowhere), false);
          assert.equal(datapath.sendChannelData(socket, 0x4000, data, 0, 10, other), false);
          assert.equal(drops.unreachable, 2);
          assert.equal(datapath.send(socket, data, 0, max + 1, address), false);
          assert.equal(datapath.sendChannelData(socket, 0x4000, data, 0, max - 3, address), false);
          assert.equal(drops["too-long"], 2);
          assert.equal(datapath.send(4711, data, 0, 1, address), false);
          datapath.release(socket);
          assert.equal(datapath.send(socket, data, 0, 1, address), false);
          assert.equal(datapath.sendChannelData(socket, 0x4000, data, 0, 1, address), false);
          assert.equal(drops.closed, 3);
          assert.equal(datapath.stats.packetsOut, 0);
        }));

      test("a socket that is still opening drops, and one released meanwhile is never heard of", () =>
        withDatapath(async (datapath) => {
          const sink = new Recorder();
          const id = datapath.bind(parseIp(near) as Address, "relay", sink);
          assert.equal(datapath.send(id, pattern(1), 0, 1, parseIp(near, 9) as Address), false);
          datapath.release(id);
          datapath.release(id);
          const next = await bound(datapath, near);
          assert.equal(sink.calls, 0);
          assert.equal(next.socket, id);
          assert.equal(datapath.stats.sockets, 1);
        }));

      test("release ends traffic at once and frees the port", () =>
        withDatapath(async (datapath) => {
          const sink = await bound(datapath, near);
          const { port } = sink.address;
          await using peer = new Peer(family);
          await openAway(peer);
          const flood = setInterval(() => {
            for (let i = 0; i < 20; i++) peer.socket.send(pattern(50), port, near);
          }, 1);
          try {
            await until("traffic", () => sink.datagrams.length > 100);
            datapath.release(sink.socket);
            const heard = sink.datagrams.length;
            const again = await bound(datapath, near, port);
            await until("traffic at the new socket", () => again.datagrams.length > 100);
            assert.equal(sink.datagrams.length, heard);
          } finally {
            clearInterval(flood);
          }
        }));

      test("a sink may release its own socket while it is handed a datagram", () =>
        withDatapath(async (datapath) => {
          const sink = await bound(datapath, near);
          await using peer = new Peer(family);
          await openAway(peer);
          sink.handleDatagram = () => {
            sink.calls++;
            datapath.release(sink.socket);
          };
          for (let i = 0; i < 10; i++) peer.socket.send(pattern(50), sink.address.port, near);
          await until("the socket to be gone", () => datapath.stats.sockets === 0);
          const other = await bound(datapath, near);
          peer.socket.send(pattern(50), other.address.port, near);
          await until("a datagram on another socket", () => other.datagrams.length === 1);
          assert.equal(sink.calls, 2);
        }));

      test("a closed peer does not break the socket", () =>
        withDatapath(async (datapath) => {
          const sink = await bound(datapath, near);
          const gone = parseIp(away, await place.away(() => freePort())) as Address;
          for (let i = 0; i < 10; i++) datapath.send(sink.socket, pattern(10), 0, 10, gone);
          await using peer = new Peer(family);
          datapath.send(sink.socket, pattern(10), 0, 10, await openAway(peer));
          await until("the datagram after", () => peer.received.length === 1);
          peer.socket.send(pattern(3), sink.address.port, near);
          await until("an answer", () => sink.datagrams.length === 1);
        }));
    });
  }

  describe(name, { skip: notHere }, () => {
    test("an IPv6 socket takes no IPv4", { skip: requireIpv6() }, () =>
      withDatapath(async (datapath) => {
        const port = await freePort();
        const six = await bound(datapath, place.near[6], port);
        const four = await bound(datapath, place.near[4], port);
        await using peer = new Peer(4);
        await place.away(() => peer.open(place.far[4]));
        peer.socket.send(pattern(5), port, place.near[4]);
        await until("the datagram", () => four.datagrams.length === 1);
        assert.equal(six.datagrams.length, 0);
      }),
    );

    test("an IPv4 address in IPv6 clothes is not bound", { skip: requireIpv6() }, () =>
      withDatapath(async (datapath) => {
        const sink = new Recorder();
        datapath.bind(parseIp(`::ffff:${place.near[4]}`) as Address, "relay", sink);
        assert.equal(await until("a failure", () => sink.failure), "gone");
      }),
    );

    test("two thousand sockets open, receive and close", () =>
      withDatapath(async (datapath) => {
        const sinks = Array.from({ length: 2_000 }, () => new Recorder());
        for (const sink of sinks) datapath.bind(parseIp(place.near[4]) as Address, "relay", sink);
        await until("every socket to open", () => datapath.stats.sockets === sinks.length, { within: 60_000 });
        await using peer = new Peer(4);
        await place.away(() => peer.open(place.far[4]));
        for (const sink of sinks) peer.socket.send(pattern(8), sink.address?.port ?? 0, place.near[4]);
        await until("a datagram at each", () => sinks.every((s) => s.datagrams.length === 1), { within: 60_000 });
        for (const sink of sinks) datapath.release(sink.socket as SocketId);
        assert.equal(datapath.stats.sockets, 0);
      }));

    test("close is the end of every socket, opening ones too", async () => {
      const datapath = create();
      const open = await bound(datapath, place.near[4]);
      const opening = new Recorder();
      datapath.bind(parseIp(place.near[4]) as Address, "relay", opening);
      await datapath.close();
      assert.equal(opening.calls, 0);
      assert.equal(datapath.stats.sockets, 0);
      const again = create();
      await bound(again, place.near[4], open.address.port);
      await again.close();
    });
  });
}
