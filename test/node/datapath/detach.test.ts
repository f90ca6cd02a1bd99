/** A socket that changes hands from one datapath to another, as it does between shards. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { type Address, formatAddress, parseIp } from "../../../src/core/base/address.ts";
import { MmsgDatapath } from "../../../src/node/datapath/mmsg.ts";
import { closeDescriptor } from "../../../src/node/sys/udp-socket.ts";
import { requireForeign } from "../../support/peers.ts";
import { until } from "../../support/until.ts";
import { Recorder } from "./compliance.ts";

const skip = requireForeign();
const loopback = parseIp("127.0.0.1", 0) as Address;

async function bound(datapath: MmsgDatapath): Promise<{ sink: Recorder; address: Readonly<Address>; socket: number }> {
  const sink = new Recorder();
  const socket = datapath.bind(loopback, "relay", sink);
  await until("the socket to open", () => sink.address);
  return { sink, address: sink.address as Readonly<Address>, socket };
}

/** Whether it is in any of this process's epoll descriptors. */
function isWatched(descriptor: number): boolean {
  const open = readdirSync("/proc/self/fdinfo").map((name) => {
    // The one that reads the directory is gone by now.
    try {
      return readFileSync(`/proc/self/fdinfo/${name}`, "utf8");
    } catch {
      return "";
    }
  });
  return open.some((info) => new RegExp(`^tfd: +${descriptor} `, "m").test(info));
}

test("what arrives while nobody has the socket waits for the next one, and it sends from the same port", {
  skip,
}, async () => {
  const [giver, taker] = [new MmsgDatapath(), new MmsgDatapath()];
  const peer = createSocket("udp4");
  peer.bind(0, "127.0.0.1");
  await once(peer, "listening");
  try {
    const { sink, address, socket } = await bound(giver);
    const descriptor = giver.detach(socket);
    assert.ok(descriptor !== undefined);
    assert.equal(giver.stats.sockets, 0);
    assert.equal(isWatched(descriptor), false, "the giver is not told of it for ever");
    for (const text of ["one", "two", "three"]) {
      await new Promise((sent) => peer.send(text, address.port, "127.0.0.1", sent));
    }
    const next = new Recorder();
    const adopted = taker.adopt(descriptor, address, "relay", next);
    await until("the datagrams", () => next.datagrams.length === 3);
    assert.deepEqual(
      next.datagrams.map(({ data }) => data.toString()),
      ["one", "two", "three"],
    );
    assert.equal(formatAddress(next.address as Address), formatAddress(address));
    assert.deepEqual(sink.datagrams, [], "the former sink hears nothing more");
    const heard = once(peer, "message");
    assert.ok(taker.send(adopted, Buffer.from("back"), 0, 4, parseIp("127.0.0.1", peer.address().port) as Address));
    const [data, from] = (await heard) as [Buffer, { port: number }];
    assert.equal(`${data} from ${from.port}`, `back from ${address.port}`);
    assert.equal(taker.stats.sockets, 1);
  } finally {
    await Promise.all([giver.close(), taker.close()]);
    peer.close();
  }
});

test("a socket that merges what it receives is known to whoever takes it over", { skip }, async () => {
  const [giver, taker, sender] = [new MmsgDatapath({ merges: "always" }), new MmsgDatapath(), new MmsgDatapath()];
  try {
    const { address, socket } = await bound(giver);
    const descriptor = giver.detach(socket) as number;
    const { socket: from } = await bound(sender);
    const texts = Array.from({ length: 8 }, (_, i) => `${i}`.repeat(600));
    // All in one turn: they leave, and arrive, in one piece.
    for (const text of texts) assert.ok(sender.send(from, Buffer.from(text), 0, text.length, address));
    const next = new Recorder();
    taker.adopt(descriptor, address, "relay", next);
    await until("all of it", () => next.datagrams.reduce((sum, { data }) => sum + data.length, 0) === 8 * 600);
    assert.deepEqual(
      next.datagrams.map(({ data }) => data.toString()),
      texts,
    );
  } finally {
    await Promise.all([giver.close(), taker.close(), sender.close()]);
  }
});

test("what the kernel did not let in is counted once, by whoever has the socket", { skip }, async () => {
  const [giver, taker, sender] = [new MmsgDatapath(), new MmsgDatapath(), new MmsgDatapath()];
  try {
    const { address, socket } = await bound(giver);
    const { socket: from } = await bound(sender);
    const lossesOf = ({ stats }: MmsgDatapath) => stats.unreceived?.relay ?? 0;
    // Nobody reads while this turn lasts.
    for (let i = 0; i < 20_000 && lossesOf(giver) === 0; i++) {
      for (let k = 0; k < 128; k++) sender.send(from, Buffer.alloc(1_000, i), 0, 1_000, address);
    }
    // What it still had has been sent then.
    await sender.close();
    const lost = lossesOf(giver);
    assert.ok(lost > 0);
    taker.adopt(giver.detach(socket) as number, address, "relay", new Recorder());
    await until("the socket to be adopted", () => taker.stats.sockets === 1);
    assert.equal(lossesOf(giver) + lossesOf(taker), lost);
  } finally {
    await Promise.all([giver.close(), taker.close(), sender.close()]);
  }
});

test("what is not open cannot be given away, and what cannot be adopted fails as a bind does", { skip }, async () => {
  const datapath = new MmsgDatapath();
  try {
    assert.equal(datapath.detach(7), undefined);
    const opening = datapath.bind(loopback, "relay", new Recorder());
    assert.equal(datapath.detach(opening), undefined);
    const { address, socket } = await bound(datapath);
    const descriptor = datapath.detach(socket);
    assert.equal(datapath.detach(socket), undefined, "once");
    closeDescriptor(descriptor as number);
    const sink = new Recorder();
    datapath.adopt(descriptor as number, address, "relay", sink);
    await until("the failure", () => sink.failure);
  } finally {
    await datapath.close();
  }
});
