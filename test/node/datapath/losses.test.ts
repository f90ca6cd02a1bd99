/** What comes while nobody reads: how much the kernel keeps for a socket, and what the `mmsg` datapath says of the rest. */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { type Address, formatIp, parseIp } from "../../../src/core/base/address.ts";
import type { Datapath, ReceiveQueue, SocketPurpose } from "../../../src/node/datapath/datapath.ts";
import { DgramDatapath } from "../../../src/node/datapath/dgram.ts";
import { MmsgDatapath } from "../../../src/node/datapath/mmsg.ts";
import { requireForeign, requireIpv6 } from "../../support/peers.ts";
import { until } from "../../support/until.ts";
import { Recorder } from "./compliance.ts";

const media = Buffer.concat([Buffer.from("400004b0", "hex"), Buffer.alloc(1200)]);
const binding = Buffer.from("000100002112a442000000000000000000000001", "hex");

class Flood implements AsyncDisposable {
  readonly sink = new Recorder();
  readonly #datapath: Datapath;
  readonly #sender: Socket;

  constructor(datapath: Datapath, sender: Socket) {
    this.#datapath = datapath;
    this.#sender = sender;
  }

  static async open(datapath: Datapath, purpose: SocketPurpose, ip: string): Promise<Flood> {
    const sender = createSocket(ip.includes(":") ? "udp6" : "udp4");
    const flood = new Flood(datapath, sender);
    datapath.bind(parseIp(ip) as Address, purpose, flood.sink);
    const address = await until("the socket to open", () => flood.sink.address);
    sender.connect(address.port, formatIp(address));
    await once(sender, "connect");
    return flood;
  }

  /** All in one turn of the event loop, so that none is read meanwhile. Resolves when what was kept has been read. */
  async send(data: Buffer, count: number): Promise<void> {
    for (let i = 0; i < count; i++) this.#sender.send(data);
    await new Promise((done) => this.#sender.send("end", done));
    const { datagrams } = this.sink;
    let before = -1;
    await until("the queue to be read", () => {
      const isQuiet = datagrams.length > 0 && datagrams.length === before;
      before = datagrams.length;
      return isQuiet;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sender.close();
    await this.#datapath.close();
  }
}

/** `{ [queue]: count }` among zeros. */
function only(queue: ReceiveQueue, count: number): Record<ReceiveQueue, number> {
  return { listener: 0, requests: 0, relay: 0, [queue]: count };
}

for (const [ip, skip] of [
  ["127.0.0.1", requireForeign()],
  ["::1", requireForeign() || requireIpv6()],
] as const) {
  describe(`on ${ip}`, { skip }, () => {
    for (const [purpose, data, queue] of [
      ["relay", media, "relay"],
      ["listener", media, "listener"],
      ["turn-listener", media, "listener"],
      ["turn-listener", binding, "requests"],
    ] as const) {
      const what = data === media ? "media" : "requests";
      test(`of ${what} that overrun a ${purpose} each is heard or counted, and the count stays`, async () => {
        const datapath = new MmsgDatapath();
        await using flood = await Flood.open(datapath, purpose, ip);
        const sent = 20_000;
        await flood.send(data, sent);
        const lost = sent + 1 - flood.sink.datagrams.length;
        assert.ok(lost > 0, "nothing was lost");
        assert.deepEqual(datapath.stats.unreceived, only(queue, lost));
        datapath.release(flood.sink.socket as number);
        assert.deepEqual(datapath.stats.unreceived, only(queue, lost));
        await datapath.close();
        assert.deepEqual(datapath.stats.unreceived, only(queue, lost));
      });
    }
  });
}

test("Node's sockets cannot tell what was lost", () => {
  assert.equal(new DgramDatapath().stats.unreceived, undefined);
});

/** What the kernel takes for a datagram of 172 bytes with all that belongs to it. */
const truesize = 768;
const most = process.platform === "linux" ? Number(readFileSync("/proc/sys/net/core/rmem_max", "utf8")) : 0;

for (const [name, create, skip] of [
  ["mmsg", () => new MmsgDatapath(), requireForeign()],
  ["dgram", () => new DgramDatapath(), process.platform !== "linux" && "the size of buffers is Linux's"],
] as const) {
  test(`a relay of ${name} keeps what comes in 60 ms of 20,000 datagrams a second`, { skip }, async () => {
    await using flood = await Flood.open(create(), "relay", "127.0.0.1");
    const room = Math.min(1_200, Math.floor((2 * most) / truesize) - 1);
    await flood.send(Buffer.alloc(172), room - 1);
    assert.equal(flood.sink.datagrams.length, room);
  });
}
