/** The helper as somebody sees it who means it no good, and the daemon's side of it. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import fc from "fast-check";
import { parseIp } from "../../../../src/core/base/address.ts";
import { Helper, HelperSession } from "../../../../src/node/datapath/ebpf/helper-client.ts";
import { openHelperSocket } from "../../../../src/node/datapath/ebpf/helper-listener.ts";
import {
  decodeReply,
  decodeRequest,
  encodeReply,
  encodeRequest,
  type HelperRequest,
  programDigest,
} from "../../../../src/node/datapath/ebpf/helper-protocol.ts";
import { HelperService, mostPrograms } from "../../../../src/node/datapath/ebpf/helper-service.ts";
import { LoadedProgram, mapNames } from "../../../../src/node/datapath/ebpf/loaded-program.ts";
import { RelayProgram } from "../../../../src/node/datapath/ebpf/relay-program.ts";
import { SystemError } from "../../../../src/node/sys/system-error.ts";
import { closeDescriptor } from "../../../../src/node/sys/udp-socket.ts";
import {
  connectTo,
  DESCRIPTOR_ROOM,
  isConnected,
  listenAt,
  MESSAGE_ROOM,
  openSocketPair,
  receiveMessage,
  sendMessage,
} from "../../../../src/node/sys/unix-socket.ts";
import { options } from "../../../../src/server/config/options.ts";
import { requireBpf, requireForeign } from "../../../support/peers.ts";
import { until } from "../../../support/until.ts";

const none: readonly number[] = [];
const [ENODEV, EPERM] = [19, 1];

const [local, remote] = [parseIp("10.0.0.1", 1)!, parseIp("10.0.0.2", 65_535)!];
const requests: readonly HelperRequest[] = [
  { kind: "open" },
  { kind: "attach", interface: 1 },
  { kind: "detach", interface: 0x7fffffff },
  { kind: "tracking", local, remote },
];

test("whatever comes is a request to the last bit, or none", () => {
  for (const request of requests) {
    const bytes = encodeRequest(request);
    const decoded = decodeRequest(bytes) ?? assert.fail(request.kind);
    assert.deepEqual(encodeRequest(decoded), bytes);
    assert.equal(decodeRequest(bytes.subarray(0, -1)), undefined);
    assert.equal(decodeRequest(new Uint8Array([...bytes, 0])), undefined);
  }
  for (const interface_ of [0, 0x80000000]) {
    assert.equal(decodeRequest(encodeRequest({ kind: "attach", interface: interface_ })), undefined);
  }
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.tuple(fc.integer({ min: 0, max: 9 }), fc.uint8Array({ minLength: 4, maxLength: 60 })).map(([kind, rest]) => {
      return new Uint8Array([kind, 0, 0, 0, ...rest]);
    }),
  );
  fc.assert(
    fc.property(bytes, (message) => {
      const request = decodeRequest(message);
      if (request !== undefined) assert.deepEqual(encodeRequest(request), message);
    }),
    { numRuns: 5_000 },
  );
});

test("a reply holds an error's number and words, and no more than a message has room for", () => {
  assert.deepEqual(decodeReply(encodeReply({ errno: 19, text: "no such device" })), {
    errno: 19,
    text: "no such device",
  });
  assert.ok(encodeReply({ errno: 1, text: "x".repeat(10_000) }).length <= MESSAGE_ROOM);
  assert.equal(decodeReply(new Uint8Array(3)), undefined);
});

describe("the helper", { skip: requireBpf(), timeout: 120_000 }, () => {
  const closing: (() => void)[] = [];
  afterEach(() => {
    for (const close of closing.splice(0).reverse()) close();
  });

  /** The daemon's end of a connection to a helper of this process. */
  function connect(...interfaces: readonly string[]): number {
    const [mine, its] = openSocketPair();
    const load = () => new LoadedProgram();
    const service = new HelperService({ user: () => undefined, load, interfaces, say: assert.fail });
    service.serve(its);
    closing.push(() => service.close());
    return mine;
  }

  async function answer(socket: number) {
    const message = await until("an answer", () => {
      const received = receiveMessage(socket, { waits: false, descriptorRoom: DESCRIPTOR_ROOM });
      return received === "nothing" ? undefined : { received };
    });
    return message.received;
  }

  async function ask(socket: number, bytes: Uint8Array, descriptors = none) {
    sendMessage(socket, { bytes, descriptors });
    const message = await answer(socket);
    return message === undefined ? undefined : { ...decodeReply(message.bytes)!, ...message };
  }

  async function open(socket: number): Promise<number> {
    const { descriptors } = (await ask(socket, encodeRequest({ kind: "open" })))!;
    for (const descriptor of descriptors) closing.push(() => closeDescriptor(descriptor));
    return descriptors[0]!;
  }

  test("hands over a program's maps, which can be written, and attaches where it is told", async () => {
    const helper = new Helper(connect());
    const program = await until("a program", () => helper.open());
    assert.equal(program.maps.length, mapNames.length);
    const relay = new RelayProgram(new HelperSession(program));
    try {
      const { lease } = relay.maps;
      lease.value.u32[0] = 7;
      lease.put();
      lease.value.u32[0] = 0;
      assert.ok(lease.read());
      assert.equal(lease.value.u32[0], 7);
      assert.equal(relay.isHeld(), true);
    } finally {
      relay.close();
    }
  });

  test("says what the kernel says of an interface that is none", async () => {
    const session = await open(connect());
    const reply = await ask(session, encodeRequest({ kind: "attach", interface: 0x7ffffff0 }));
    assert.equal(reply?.errno, ENODEV);
    assert.equal((await ask(session, encodeRequest({ kind: "detach", interface: 1 })))?.errno, 0);
  });

  test("attaches to no interface that it was not given", async () => {
    const session = await open(connect("none"));
    const reply = await ask(session, encodeRequest({ kind: "attach", interface: 1 }));
    assert.equal(reply?.errno, constants.errno.EACCES);
    assert.equal(reply.text, "interface 1 is none that the helper may use (--interfaces none)");
  });

  test("does each thing where it belongs and nowhere else", async () => {
    const daemon = connect();
    assert.equal((await ask(daemon, encodeRequest({ kind: "attach", interface: 1 })))?.errno, EPERM);
    const session = await open(daemon);
    assert.equal((await ask(session, encodeRequest({ kind: "open" })))?.errno, EPERM);
  });

  test("closes a connection that says anything else, with what belongs to it, and serves others", async () => {
    for (const bytes of [new Uint8Array([9, 9, 9]), new Uint8Array(0), new Uint8Array(MESSAGE_ROOM).fill(255)]) {
      const daemon = connect();
      const session = await open(daemon);
      assert.equal(await ask(daemon, bytes), undefined);
      assert.equal(await answer(session), undefined, "its program is gone");
      closeDescriptor(daemon);
    }
    const session = await open(connect());
    assert.equal(await ask(session, new Uint8Array([1])), undefined);
  });

  test("takes no descriptor from anybody", async () => {
    const daemon = connect();
    const [near, far] = openSocketPair();
    closing.push(() => closeDescriptor(far));
    const { descriptors } = (await ask(daemon, encodeRequest({ kind: "open" }), [near]))!;
    for (const descriptor of descriptors) closeDescriptor(descriptor);
    closeDescriptor(near);
    assert.equal(receiveMessage(far, { waits: false }), undefined, "nobody has the other end");
  });

  test("has room for the threads of two daemons, and for no more", async () => {
    const isPossible = (shards: number) => options.shards.kind.type.safeParse(shards).success;
    const most = Array.from({ length: 1_000 }, (_, i) => i).findLastIndex(isPossible);
    assert.equal(mostPrograms, 2 * (most + 1));
    const user = () => process.getuid!();
    const service = new HelperService({ user, load: () => new LoadedProgram(), say: assert.fail });
    closing.push(() => service.close());
    const path = `\0postern-test-room-${process.pid}`;
    service.listen(listenAt(path));
    for (let i = 0; i < mostPrograms; i++) {
      const socket = connectTo(path);
      closing.push(() => closeDescriptor(socket));
      assert.equal((await ask(socket, encodeRequest({ kind: "attach", interface: 1 })))?.errno, EPERM);
    }
    const socket = connectTo(path);
    await until("one more to be refused", () => !isConnected(socket));
    closeDescriptor(socket);
  });

  test("drops who asks and does not listen", async () => {
    const session = await open(connect());
    const question = { bytes: encodeRequest({ kind: "detach", interface: 1 }), descriptors: none };
    await until("the connection to be closed", () => {
      try {
        for (let i = 0; i < 1_000; i++) sendMessage(session, question, false);
      } catch (error) {
        return (error as { code: string }).code === "EPIPE" || (error as { code: string }).code === "ECONNRESET";
      }
      return false;
    });
  });
});

test("where a helper cannot listen it says so, and what to do", { skip: requireForeign() }, () => {
  const path = join(import.meta.filename, "run", "socket");
  assert.throws(() => openHelperSocket(path), { code: "helper-cannot-listen", message: /ENOTDIR.*--listen/ });
});

test("where a helper is that has no time for anybody, there is one", { skip: requireForeign() }, () => {
  const directory = mkdtempSync(join(tmpdir(), "postern-helper-"));
  const path = join(directory, "socket");
  const sockets = [openHelperSocket(path)];
  try {
    assert.throws(() => openHelperSocket(path), { code: "helper-is-there" });
    assert.throws(() => {
      while (sockets.length < 10_000) sockets.push(connectTo(path));
    }, /EAGAIN/);
    assert.throws(() => openHelperSocket(path), { code: "helper-is-there" });
  } finally {
    for (const socket of sockets) closeDescriptor(socket);
    rmSync(directory, { recursive: true });
  }
});

test("whoever connects while the list of users cannot be asked is refused, which is said once", {
  skip: requireForeign(),
}, async () => {
  const said: string[] = [];
  const user = (): never => {
    throw new SystemError("getpwnam_r", constants.errno.EIO);
  };
  const service = new HelperService({ user, load: assert.fail, say: (line) => said.push(line) });
  const path = `\0postern-test-${process.pid}`;
  service.listen(listenAt(path));
  for (let i = 0; i < 2; i++) {
    const socket = connectTo(path);
    await until("it to be closed", () => !isConnected(socket));
    closeDescriptor(socket);
  }
  service.close();
  assert.deepEqual(said, ["somebody was refused, for it cannot be told who is served (EIO)"]);
});

describe("the daemon's side", { skip: requireForeign() }, () => {
  test("does not wait for a helper that lets nobody in, and says so", { timeout: 30_000 }, () => {
    const path = `\0postern-test-full-${process.pid}`;
    const sockets = [listenAt(path)];
    assert.throws(() => {
      while (sockets.length < 10_000) sockets.push(connectTo(path));
    }, /EAGAIN/);
    const helper = new Helper(path);
    // Were it to wait each time for what nobody would notice once, the test would not end in time.
    for (let i = 0; i < 1_000; i++) {
      assert.throws(() => helper.open(), { code: "offload-helper-unreachable", message: /lets nobody in \(EAGAIN\)/ });
    }
    for (const socket of sockets) closeDescriptor(socket);
  });

  test("who has not answered once is asked nothing more, and to let go of it is no failure", () => {
    const [mine, its] = openSocketPair();
    const session = new HelperSession({ session: mine, maps: none });
    assert.throws(() => session.attach(1), { code: "EPIPE" });
    session.detach(1);
    assert.throws(() => session.isAttached(1), { code: "EPIPE" });
    assert.equal(typeof receiveMessage(its, { waits: false }), "object");
    assert.equal(receiveMessage(its, { waits: false }), "nothing", "it was asked once");
    closeDescriptor(its);
    assert.equal(session.isThere(), false);
    session.close();
  });

  test("to let go of a helper that has ended is no failure", () => {
    const [mine, its] = openSocketPair();
    const session = new HelperSession({ session: mine, maps: none });
    closeDescriptor(its);
    session.detach(1);
    session.close();
  });

  test("does not take a program of another release, and says what to do", () => {
    const [mine, its] = openSocketPair();
    const helper = new Helper(mine);
    assert.equal(helper.open(), undefined);
    const [session, map] = openSocketPair();
    const maps = mapNames.map(() => map);
    const other = encodeReply({ errno: 0, text: programDigest().replace(/^./, "-") });
    sendMessage(its, { bytes: other, descriptors: [session, ...maps] });
    for (const descriptor of [session, map]) closeDescriptor(descriptor);
    assert.throws(() => helper.open(), { code: "offload-helper-differs" });
    assert.throws(() => helper.open(), { code: "offload-helper-gone" });
    assert.equal(helper.canReturn, false);
    for (const descriptor of [mine, its]) closeDescriptor(descriptor);
  });

  test("tells what the helper was refused, and asks again", () => {
    const [mine, its] = openSocketPair();
    const helper = new Helper(mine);
    assert.equal(helper.open(), undefined);
    sendMessage(its, { bytes: encodeReply({ errno: EPERM, text: "no" }), descriptors: none });
    assert.throws(() => helper.open(), { code: "EPERM", message: "no" });
    assert.equal(helper.open(), undefined);
    assert.equal(helper.canReturn, true);
    for (const descriptor of [mine, its]) closeDescriptor(descriptor);
  });
});
