/** A connection over a socket that takes bytes only when told to, on a clock that stands still. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { ipv4 } from "../../../src/core/base/address.ts";
import type { Instant } from "../../../src/core/base/machine.ts";
import type { ClientPath } from "../../../src/core/turn/server/client-path.ts";
import { Admission } from "../../../src/node/net/admission.ts";
import { StreamConnection } from "../../../src/node/net/stream-connection.ts";
import { defaultStreamLimits, type StreamLimits } from "../../../src/node/net/stream-limits.ts";
import { createStreamStats } from "../../../src/node/net/stream-stats.ts";

/** `letThrough` lets the oldest write through. */
class SlowSocket extends Duplex {
  readonly taken: Buffer[] = [];
  #waiting: (() => void) | undefined;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#waiting = () => {
      this.taken.push(chunk);
      done();
    };
  }

  letThrough(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }

  destroySoon(): void {
    this.end();
  }
}

const usualLimits = {
  ...defaultStreamLimits,
  mediaBacklog: 1_000,
  controlBacklog: 2_000,
  stalledMs: 100,
  withoutAllocationMs: Number.POSITIVE_INFINITY,
};
const response = Buffer.alloc(500);
response[0] = 0x01;
const dataIndication = Buffer.alloc(500);
dataIndication[1] = 0x17;

function setUp(changed: Partial<StreamLimits> = {}) {
  const limits = { ...usualLimits, ...changed };
  const stats = createStreamStats();
  const socket = new SlowSocket({ writableHighWaterMark: 400 });
  const remote = ipv4(0x7f000001, 40_000);
  const path: ClientPath = { transport: "tcp", listener: 1, local: remote, remote, connection: 1 };
  const closed: ClientPath[] = [];
  const time = { now: 0 };
  const connection = new StreamConnection(
    socket as unknown as Socket,
    path,
    new Admission(limits, stats, () => {}).admit(remote)!,
    0 as Instant,
    {
      limits,
      stats,
      sink: { handleFrame: () => {}, handleClosed: (from) => closed.push(from) },
      now: () => time.now as Instant,
      watch: () => {},
      forget: () => {},
    },
  );
  socket.push(Buffer.from("000100002112a442000000000000000000000000", "hex"));
  return { connection, socket, stats, closed, path, time };
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test("RFC 8656 §12.5: ChannelData to a stream is padded to four bytes with zeros, in one write", async () => {
  const { connection, socket } = setUp();
  const noise = Buffer.alloc(64, 0xee);
  for (let length = 0; length <= 5; length++) {
    // Dirties the pool that buffers are cut from.
    Buffer.allocUnsafe(64).fill(0xff);
    connection.sendChannelData(0x4001, noise, 3, length);
    socket.letThrough();
    const expected = Buffer.alloc(4 + Math.ceil(length / 4) * 4);
    expected.writeUInt16BE(0x4001, 0);
    expected.writeUInt16BE(length, 2);
    expected.fill(0xee, 4, 4 + length);
    assert.deepEqual(socket.taken.at(-1), expected);
    await turn();
  }
});

test("past one bound media is dropped and counted; past another a response ends the connection", async () => {
  const { connection, socket, stats, closed, path } = setUp();
  await turn();
  const media = Buffer.alloc(496);
  connection.sendChannelData(0x4000, media, 0, 496);
  connection.sendChannelData(0x4000, media, 0, 496);
  connection.sendFrame(dataIndication);
  assert.equal(stats.mediaDropped, 0);
  connection.sendFrame(dataIndication);
  connection.sendChannelData(0x4000, media, 0, 496);
  assert.equal(stats.mediaDropped, 2);
  connection.sendFrame(response);
  connection.sendFrame(response);
  assert.equal(socket.destroyed, false);
  assert.equal(socket.writableLength, 2_500);
  connection.sendFrame(response);
  assert.equal(socket.destroyed, true);
  await turn();
  assert.equal(stats.closed.backlog, 1);
  assert.deepEqual(closed, [path]);
  connection.sendFrame(response);
  connection.sendChannelData(0x4000, media, 0, 4);
  assert.equal(stats.framesOut, 5);
});

test("a client that reads slowly is not stalled, one that does not read is", async () => {
  const { connection, socket, stats, time } = setUp();
  await turn();
  for (let i = 0; i < 4; i++) connection.sendFrame(response);
  assert.equal(connection.nextDeadline, 100);
  for (const now of [100, 200]) {
    socket.letThrough();
    await turn();
    time.now = now;
    connection.handleTimeout(now as Instant);
    assert.equal(socket.destroyed, false);
    assert.equal(connection.nextDeadline, now + 100);
  }
  connection.handleTimeout(300 as Instant);
  assert.equal(socket.destroyed, true);
  await turn();
  assert.equal(stats.closed.stalled, 1);
});

test("one that has read everything has no deadline", async () => {
  const { connection, socket } = setUp();
  await turn();
  connection.sendFrame(response);
  connection.sendFrame(response);
  assert.equal(connection.nextDeadline, 100);
  socket.letThrough();
  await turn();
  socket.letThrough();
  await turn();
  assert.equal(connection.nextDeadline, Number.POSITIVE_INFINITY);
});

test("finish sends what waits first", async () => {
  const { connection, socket, stats } = setUp();
  await turn();
  connection.sendFrame(response);
  connection.sendFrame(response);
  connection.finish();
  connection.sendFrame(response);
  for (let i = 0; i < 3; i++) {
    socket.letThrough();
    await turn();
  }
  assert.equal(socket.taken.length, 2);
  assert.equal(stats.framesOut, 2);
  socket.destroy();
  await turn();
  assert.equal(stats.closed.shutdown, 1);
});

test("the first reason to end is the one that counts", async () => {
  const { connection, stats, closed } = setUp();
  await turn();
  connection.end("no-allocation");
  connection.end("stalled");
  await turn();
  assert.deepEqual([stats.closed["no-allocation"], stats.closed.stalled], [1, 0]);
  assert.equal(closed.length, 1);
});

test("while there is an allocation silence is no reason to end, whatever else comes due", async () => {
  const { connection, socket, time } = setUp({ withoutAllocationMs: 60 });
  await turn();
  connection.hasAllocation = true;
  connection.sendFrame(response);
  connection.sendFrame(response);
  assert.equal(connection.nextDeadline, 100);
  socket.letThrough();
  await turn();
  time.now = 100;
  connection.handleTimeout(100 as Instant);
  assert.equal(socket.destroyed, false);
  connection.hasAllocation = false;
  assert.equal(connection.nextDeadline, 160);
  time.now = 160;
  connection.handleTimeout(160 as Instant);
  assert.equal(socket.destroyed, true);
});
