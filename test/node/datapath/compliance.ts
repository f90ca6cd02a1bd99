/**
 * What every datapath must do, whatever moves the packets. `datapathCompliance` declares the tests; the far side of
 * each is a plain socket of Node's, which knows nothing of datapaths.
 */
import assert from "node:assert/strict";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { describe, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Address, copyAddress, formatAddress, parseIp } from "../../../src/core/base/address.ts";
import { PosternError } from "../../../src/core/base/failure.ts";
import { type IpFields, ipFieldsOf, NO_FIELDS } from "../../../src/core/base/ip-fields.ts";
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

class Peer implements AsyncDisposable {
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

/** Bytes that differ from place to place and from size to size. */
function pattern(length: number, seed = length): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17 + (i >> 8)) & 255));
}

function channelData(channel: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16BE(channel, 0);
  header.writeUInt16BE(payload.length, 2);
  return Buffer.concat([header, payload]);
}

const sizes = [0, 1, 2, 3, 4, 5, 171, 172, 1200, 1472, 1501, 9000, 65_503];

const families = [
  { family: 4, loopback: "127.0.0.1", elsewhere: "192.0.2.1", wildcard: "0.0.0.0" },
  { family: 6, loopback: "::1", elsewhere: "2001:db8::1", wildcard: "::" },
] as const;

export function datapathCompliance(name: string, create: () => Datapath, notHere: Skip = false): void {
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

  for (const { family, loopback, elsewhere, wildcard } of families) {
    const skip = notHere || (family === 6 && requireIpv6());

    describe(`${name} over IPv${family}`, { skip }, () => {
      test("binds exactly the address and port asked for, and any free port for 0", () =>
        withDatapath(async (datapath) => {
          const port = await freePort();
          const exact = await bound(datapath, loopback, port);
          assert.equal(formatAddress(exact.address), formatAddress(parseIp(loopback, port) as Address));
          const any = await bound(datapath, loopback);
          assert.notEqual(any.address.port, 0);
          assert.equal(datapath.stats.sockets, 2);
        }));

      test("says nothing before bind has returned", () =>
        withDatapath(async (datapath) => {
          const sink = new Recorder();
          datapath.bind(parseIp(loopback) as Address, "listener", sink);
          assert.equal(sink.calls, 0);
          await until("the socket to open", () => sink.address);
        }));

      test("reports a port that is taken as busy, and its number is free again", () =>
        withDatapath(async (datapath) => {
          const first = await bound(datapath, loopback);
          const sink = new Recorder();
          const id = datapath.bind(first.address, "relay", sink);
          assert.equal(await until("a failure", () => sink.failure), "busy");
          assert.equal(datapath.stats.bindFailures.busy, 1);
          assert.equal(datapath.stats.sockets, 1);
          datapath.release(id);
          const [second, third] = [await bound(datapath, loopback), await bound(datapath, loopback)];
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
          const taken = await bound(datapath, loopback);
          const again = new Recorder();
          const sink = new Recorder();
          sink.handleBindFailed = (socket) => {
            datapath.release(socket);
            datapath.bind(parseIp(loopback) as Address, "relay", again);
          };
          datapath.bind(taken.address, "relay", sink);
          await until("the second socket to open", () => again.address);
          const other = await bound(datapath, loopback);
          assert.equal(new Set([taken.socket, again.socket, other.socket]).size, 3);
        }));

      test("hands up every size whole, with the source it came from", () =>
        withDatapath(async (datapath) => {
          const sink = await bound(datapath, loopback);
          await using peer = new Peer(family);
          const source = formatAddress(await peer.open(loopback));
          for (const [i, size] of [...sizes, 65_507].entries()) {
            peer.socket.send(pattern(size), sink.address.port, loopback);
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
          const sink = await bound(datapath, loopback);
          await using peer = new Peer(family);
          const to = await peer.open(loopback);
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
          const sink = await bound(datapath, loopback);
          await using peer = new Peer(family);
          const to = await peer.open(loopback);
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
        withDatapath(async (datapath) => {
          const out = await bound(datapath, loopback);
          const there = await bound(datapath, loopback, 0, "turn-listener");
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
            if (i % 3 === 0) datapath.sendChannelData(out.socket, 0x4000, data, 0, data.length, there.address, fields);
            else datapath.send(out.socket, data, 0, data.length, there.address, fields);
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
        withDatapath(async (datapath) => {
          const [out, there] = [await bound(datapath, loopback), await bound(datapath, loopback)];
          let sent = 0;
          /** So many, one after the other, and of each what is told. */
          const send = async (...trafficClasses: readonly number[]): Promise<(IpFields | undefined)[]> => {
            for (const trafficClass of trafficClasses) {
              const data = pattern(50, ++sent);
              datapath.send(out.socket, data, 0, data.length, there.address, ipFieldsOf(trafficClass, 33));
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
        withDatapath(async (datapath) => {
          const [out, back] = [await bound(datapath, loopback), await bound(datapath, loopback, 0, "turn-listener")];
          const sink = new Recorder();
          const fields = ipFieldsOf(0x88, 42);
          sink.handleDatagram = (data, length, from, fill, came) => {
            Recorder.prototype.handleDatagram.call(sink, data, length, from, fill, came);
            if (sink.datagrams.length % 2 === 0) datapath.send(back.socket, data, 1, length - 1, out.address, came);
            else datapath.sendChannelData(back.socket, 0x4001, data, 0, length, out.address, came);
          };
          datapath.bind(parseIp(loopback) as Address, "relay", sink);
          const { address } = { address: await until("the socket to open", () => sink.address) };
          const expected: Buffer[] = [];
          for (let burst = 0; burst < 60; burst++) {
            // The last of each is shorter, or as long.
            const count = 2 + ((burst * 7) % 40);
            for (let i = 0; i < count; i++) {
              const data = pattern(i + 1 < count ? 1_200 - (burst % 3) * 400 : 1 + ((burst * 31) % 400), burst + i);
              expected.push(data);
              datapath.send(out.socket, data, 0, data.length, address, fields);
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
          datapath.bind(parseIp(loopback) as Address, "listener", sink);
          const { port } = await until("the socket to open", () => sink.address);
          await using peer = new Peer(family);
          await peer.open(loopback);
          for (let i = 0; i < 9; i++) peer.socket.send(pattern(9), port, loopback);
          await until("what was sent", () => sink.datagrams.length === 9);
          assert.deepEqual([...new Set(sink.fields)], [undefined]);
        }));

      test("a datagram goes on from inside the call that handed it up", () =>
        withDatapath(async (datapath) => {
          const out = await bound(datapath, loopback);
          await using peer = new Peer(family);
          const to = copyAddress(await peer.open(loopback));
          const sink = new Recorder();
          sink.handleDatagram = (data, length) => {
            datapath.sendChannelData(out.socket, 0x4001, data, 0, length, to);
            datapath.send(out.socket, data, 1, length - 1, to);
          };
          datapath.bind(parseIp(loopback) as Address, "relay", sink);
          const { port } = await until("the socket to open", () => sink.address);
          for (let i = 0; i < 40; i++) peer.socket.send(pattern(100, i), port, loopback);
          await until("80 datagrams", () => peer.received.length === 80);
          for (let i = 0; i < 40; i++) {
            assert.deepEqual(peer.received[2 * i]?.data, channelData(0x4001, pattern(100, i)));
            assert.deepEqual(peer.received[2 * i + 1]?.data, pattern(100, i).subarray(1));
          }
        }));

      test("counts and drops what cannot be sent", () =>
        withDatapath(async (datapath) => {
          const { socket, address } = await bound(datapath, loopback);
          const { drops } = datapath.stats;
          const max = family === 4 ? 65_507 : 65_527;
          const data = Buffer.alloc(max + 1);
          const nowhere = parseIp(loopback, 0) as Address;
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
          const id = datapath.bind(parseIp(loopback) as Address, "relay", sink);
          assert.equal(datapath.send(id, pattern(1), 0, 1, parseIp(loopback, 9) as Address), false);
          datapath.release(id);
          datapath.release(id);
          const next = await bound(datapath, loopback);
          assert.equal(sink.calls, 0);
          assert.equal(next.socket, id);
          assert.equal(datapath.stats.sockets, 1);
        }));

      test("release ends traffic at once and frees the port", () =>
        withDatapath(async (datapath) => {
          const sink = await bound(datapath, loopback);
          const { port } = sink.address;
          await using peer = new Peer(family);
          await peer.open(loopback);
          const flood = setInterval(() => {
            for (let i = 0; i < 20; i++) peer.socket.send(pattern(50), port, loopback);
          }, 1);
          try {
            await until("traffic", () => sink.datagrams.length > 100);
            datapath.release(sink.socket);
            const heard = sink.datagrams.length;
            const again = await bound(datapath, loopback, port);
            await until("traffic at the new socket", () => again.datagrams.length > 100);
            assert.equal(sink.datagrams.length, heard);
          } finally {
            clearInterval(flood);
          }
        }));

      test("a sink may release its own socket while it is handed a datagram", () =>
        withDatapath(async (datapath) => {
          const sink = await bound(datapath, loopback);
          await using peer = new Peer(family);
          await peer.open(loopback);
          sink.handleDatagram = () => {
            sink.calls++;
            datapath.release(sink.socket);
          };
          for (let i = 0; i < 10; i++) peer.socket.send(pattern(50), sink.address.port, loopback);
          await until("the socket to be gone", () => datapath.stats.sockets === 0);
          const other = await bound(datapath, loopback);
          peer.socket.send(pattern(50), other.address.port, loopback);
          await until("a datagram on another socket", () => other.datagrams.length === 1);
          assert.equal(sink.calls, 2);
        }));

      test("a closed peer does not break the socket", () =>
        withDatapath(async (datapath) => {
          const sink = await bound(datapath, loopback);
          const gone = parseIp(loopback, await freePort()) as Address;
          for (let i = 0; i < 10; i++) datapath.send(sink.socket, pattern(10), 0, 10, gone);
          await using peer = new Peer(family);
          datapath.send(sink.socket, pattern(10), 0, 10, await peer.open(loopback));
          await until("the datagram after", () => peer.received.length === 1);
          peer.socket.send(pattern(3), sink.address.port, loopback);
          await until("an answer", () => sink.datagrams.length === 1);
        }));
    });
  }

  describe(name, { skip: notHere }, () => {
    test("an IPv6 socket takes no IPv4", { skip: requireIpv6() }, () =>
      withDatapath(async (datapath) => {
        const port = await freePort();
        const six = await bound(datapath, "::1", port);
        const four = await bound(datapath, "127.0.0.1", port);
        await using peer = new Peer(4);
        await peer.open("127.0.0.1");
        peer.socket.send(pattern(5), port, "127.0.0.1");
        await until("the datagram", () => four.datagrams.length === 1);
        assert.equal(six.datagrams.length, 0);
      }),
    );

    test("an IPv4 address in IPv6 clothes is not bound", { skip: requireIpv6() }, () =>
      withDatapath(async (datapath) => {
        const sink = new Recorder();
        datapath.bind(parseIp("::ffff:127.0.0.1") as Address, "relay", sink);
        assert.equal(await until("a failure", () => sink.failure), "gone");
      }),
    );

    test("two thousand sockets open, receive and close", () =>
      withDatapath(async (datapath) => {
        const sinks = Array.from({ length: 2_000 }, () => new Recorder());
        for (const sink of sinks) datapath.bind(parseIp("127.0.0.1") as Address, "relay", sink);
        await until("every socket to open", () => datapath.stats.sockets === sinks.length, { within: 60_000 });
        await using peer = new Peer(4);
        await peer.open("127.0.0.1");
        for (const sink of sinks) peer.socket.send(pattern(8), sink.address?.port ?? 0, "127.0.0.1");
        await until("a datagram at each", () => sinks.every((s) => s.datagrams.length === 1), { within: 60_000 });
        for (const sink of sinks) datapath.release(sink.socket as SocketId);
        assert.equal(datapath.stats.sockets, 0);
      }));

    test("close is the end of every socket, opening ones too", async () => {
      const datapath = create();
      const open = await bound(datapath, "127.0.0.1");
      const opening = new Recorder();
      datapath.bind(parseIp("127.0.0.1") as Address, "relay", opening);
      await datapath.close();
      assert.equal(opening.calls, 0);
      assert.equal(datapath.stats.sockets, 0);
      const again = create();
      await bound(again, "127.0.0.1", open.address.port);
      await again.close();
    });
  });
}
