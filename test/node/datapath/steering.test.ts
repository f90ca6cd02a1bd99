/** Requests and media have a queue each on the `mmsg` datapath: what fills the one does not touch the other. */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { describe, test } from "node:test";
import { type Address, formatIp, parseIp } from "../../../src/core/base/address.ts";
import type { Datapath } from "../../../src/node/datapath/datapath.ts";
import { DgramDatapath } from "../../../src/node/datapath/dgram.ts";
import { MmsgDatapath } from "../../../src/node/datapath/mmsg.ts";
import { requireForeign, requireIpv6, requirePrivilege } from "../../support/peers.ts";
import { until } from "../../support/until.ts";
import { Recorder } from "./compliance.ts";
import { chains, RawIpv6 } from "./raw-ipv6.ts";

class Gauged extends Recorder {
  readonly fills: (number | undefined)[] = [];

  override handleDatagram(data: Uint8Array, length: number, from: Readonly<Address>, fill?: number): void {
    super.handleDatagram(data, length, from);
    this.fills.push(fill);
  }
}

const binding = Buffer.from("000100002112a442000000000000000000000001", "hex");
const media = Buffer.concat([Buffer.from("400004b0", "hex"), Buffer.alloc(1200)]);
/** More than any queue has room for. */
const flood = 20_000;

async function connected(to: Readonly<Address>): Promise<Socket> {
  const socket = createSocket(to.family === 4 ? "udp4" : "udp6");
  socket.connect(to.port, formatIp(to));
  await once(socket, "connect");
  return socket;
}

async function withListener(
  ip: string,
  use: (sink: Gauged, socket: Socket, datapath: Datapath) => Promise<void>,
): Promise<void> {
  await using held = new AsyncDisposableStack();
  const datapath = held.adopt(new MmsgDatapath(), (closing) => closing.close());
  const sink = new Gauged();
  datapath.bind(parseIp(ip) as Address, "turn-listener", sink);
  const address = await until("the socket to open", () => sink.address);
  await use(
    sink,
    held.adopt(await connected(address), (closing) => void closing.close()),
    datapath,
  );
}

function heard(sink: Gauged, what: Buffer): number {
  return sink.datagrams.filter(({ data }) => data.equals(what)).length;
}

async function drained(sink: Gauged): Promise<void> {
  await until("the queue to be called full", () => sink.fills.some((fill) => (fill as number) > 0.5));
  await until("it to be called empty", () => (sink.fills.at(-1) as number) < 0.1);
}

for (const [ip, skip] of [
  ["127.0.0.1", requireForeign()],
  ["::1", requireForeign() || requireIpv6()],
] as const) {
  describe(`a turn-listener on ${ip}`, { skip }, () => {
    test("a request passes a queue that media have filled, and comes first", () =>
      withListener(ip, async (sink, socket) => {
        // A connected socket sends at once: all of it is in the queues, or lost, before the datapath looks.
        for (let i = 0; i < flood; i++) socket.send(media);
        socket.send(binding);
        await until("the request", () => heard(sink, binding) === 1);
        assert.ok(sink.datagrams[0]?.data.equals(binding));
        await drained(sink);
        assert.ok(heard(sink, media) < flood, "the queue of media was full");
      }));

    test("media pass a queue that requests have filled, whose fill is told until it is empty", () =>
      withListener(ip, async (sink, socket) => {
        for (let i = 0; i < flood; i++) socket.send(binding);
        socket.send(media);
        await until("the packet", () => heard(sink, media) === 1);
        await drained(sink);
        const before = heard(sink, binding);
        assert.ok(before < flood, "the queue of requests was full");
        socket.send(binding);
        await until("one more", () => heard(sink, binding) > before);
        assert.equal(sink.fills.at(-1), 0);
      }));

    test("a port that is taken stays taken for others, and is free after the release", () =>
      withListener(ip, async (sink, _socket, datapath) => {
        const address = sink.address as Address;
        for (const other of [new MmsgDatapath(), new DgramDatapath(), datapath]) {
          const second = new Recorder();
          other.bind(address, "turn-listener", second);
          await until("the refusal", () => second.failure === "busy");
          if (other !== datapath) await other.close();
        }
        assert.equal(datapath.stats.sockets, 1);
        datapath.release(sink.socket as number);
        const next = new Recorder();
        datapath.bind(address, "turn-listener", next);
        await until("the port to be bound again", () => next.address);
        assert.equal(datapath.stats.sockets, 1);
      }));
  });
}

test("extension headers of IPv6 hide neither a request nor media", {
  skip: requireForeign() || requireIpv6() || requirePrivilege("net-raw"),
}, async () => {
  using raw = new RawIpv6();
  for (const [many, few] of [
    [media, binding],
    [binding, media],
  ] as const) {
    await withListener("::1", async (sink, socket) => {
      const from = parseIp("::1", socket.address().port) as Address;
      for (let i = 0; i < flood; i++) socket.send(many);
      for (const chain of chains) raw.send(from, sink.address as Address, chain, few);
      await until("all of the few", () => heard(sink, few) === chains.length);
      await drained(sink);
      assert.ok(heard(sink, many) < flood, "the other queue was full");
    });
  }
});

test("other sockets do not say how full their queues are", { skip: requireForeign() }, async () => {
  await using held = new AsyncDisposableStack();
  const datapath = held.adopt(new MmsgDatapath(), (closing) => closing.close());
  const sink = new Gauged();
  datapath.bind(parseIp("127.0.0.1") as Address, "listener", sink);
  const address = await until("the socket to open", () => sink.address);
  const socket = held.adopt(await connected(address), (closing) => void closing.close());
  for (let i = 0; i < 100; i++) socket.send(binding);
  await until("all", () => sink.datagrams.length === 100);
  assert.ok(sink.fills.every((fill) => fill === undefined));
});
