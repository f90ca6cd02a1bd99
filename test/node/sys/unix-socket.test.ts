import assert from "node:assert/strict";
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { SystemError } from "../../../src/node/sys/system-error.ts";
import { closeDescriptor } from "../../../src/node/sys/udp-socket.ts";
import {
  accept,
  bindAt,
  connectTo,
  DESCRIPTOR_ROOM,
  isConnected,
  listenAt,
  MESSAGE_ROOM,
  openSocketPair,
  peerUser,
  receiveMessage,
  sendMessage,
  setPatience,
} from "../../../src/node/sys/unix-socket.ts";
import { requireForeign } from "../../support/peers.ts";

const skip = requireForeign();
const none: readonly number[] = [];
const bytes = (text: string) => new TextEncoder().encode(text);
const told = (message: ReturnType<typeof receiveMessage>) =>
  typeof message === "object" ? new TextDecoder().decode(message.bytes) : message;
const code = (expected: string) => (error: unknown) => error instanceof SystemError && error.code === expected;

describe("Unix sockets", { skip }, () => {
  const open: number[] = [];
  const pair = () => {
    const sockets = openSocketPair();
    open.push(...sockets);
    return sockets;
  };
  afterEach(() => {
    for (const descriptor of open.splice(0)) closeDescriptor(descriptor);
  });

  test("messages stay apart, and the last one is followed by the end", () => {
    const [a, b] = openSocketPair();
    open.push(b);
    for (const text of ["one", "another"]) sendMessage(a, { bytes: bytes(text), descriptors: none });
    assert.equal(isConnected(b), true);
    closeDescriptor(a);
    const read = () => told(receiveMessage(b, { waits: false }));
    assert.deepEqual([read(), read(), isConnected(b), read()], ["one", "another", false, undefined]);
    assert.throws(() => sendMessage(b, { bytes: bytes("late"), descriptors: none }), code("EPIPE"));
  });

  test("who does not wait is told that there is nothing, and who waits only for so long", () => {
    const [, b] = pair();
    assert.equal(receiveMessage(b, { waits: false }), "nothing");
    setPatience(b, 30);
    const begun = performance.now();
    assert.equal(receiveMessage(b, { waits: true }), "nothing");
    assert.ok(performance.now() - begun >= 29);
  });

  test("descriptors are handed over, and are the receiver's own", () => {
    const [a, b] = pair();
    const file = openSync(import.meta.filename, "r");
    sendMessage(a, { bytes: bytes("two"), descriptors: [file, file] });
    closeSync(file);
    const message = receiveMessage(b, { waits: false, descriptorRoom: DESCRIPTOR_ROOM });
    assert.ok(typeof message === "object");
    assert.equal(message.descriptors.length, 2);
    for (const descriptor of message.descriptors) {
      const read = Buffer.alloc(6);
      readSync(descriptor, read, 0, 6, 0);
      assert.equal(read.toString(), "import");
      closeSync(descriptor);
    }
  });

  test("who makes no room for descriptors is given none", () => {
    const [a, b] = pair();
    const [c, d] = openSocketPair();
    open.push(d);
    sendMessage(a, { bytes: bytes("x"), descriptors: [c] });
    closeDescriptor(c);
    const message = receiveMessage(b, { waits: false });
    assert.ok(typeof message === "object");
    assert.deepEqual(message.descriptors, []);
    // The kernel has closed what was on its way: nobody is at the other end any more.
    assert.equal(isConnected(d), false);
  });

  test("what is too long is neither sent nor taken", () => {
    const [a, b] = pair();
    const long = new Uint8Array(MESSAGE_ROOM + 1);
    assert.throws(() => sendMessage(a, { bytes: long, descriptors: none }), code("EMSGSIZE"));
    const many = Array.from({ length: DESCRIPTOR_ROOM + 1 }, () => a);
    assert.throws(() => sendMessage(a, { bytes: bytes("x"), descriptors: many }), code("EMSGSIZE"));
    assert.equal(receiveMessage(b, { waits: false }), "nothing");
  });

  test("a path is found, and says who has come", () => {
    const directory = mkdtempSync(join(tmpdir(), "postern-unix-"));
    try {
      const path = join(directory, "socket");
      const listener = listenAt(path);
      open.push(listener);
      assert.equal(accept(listener), undefined);
      const client = connectTo(path);
      open.push(client);
      const server = accept(listener) ?? assert.fail("nobody has come");
      open.push(server);
      assert.equal(peerUser(server), process.getuid!());
      assert.ok(fstatSync(server).isSocket());
      assert.throws(() => listenAt(path), code("EADDRINUSE"));
      assert.throws(() => connectTo(join(directory, "none")), code("ENOENT"));
      assert.throws(() => connectTo(join(directory, "x".repeat(200))), code("ENAMETOOLONG"));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test("a name that is nowhere in the file system is held by one, until he lets go", () => {
    const name = `\0postern-test-${process.pid}`;
    const held = bindAt(name);
    assert.throws(() => bindAt(name), code("EADDRINUSE"));
    closeDescriptor(held);
    closeDescriptor(bindAt(name));
  });
});
