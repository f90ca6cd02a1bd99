import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Address, parseIp } from "../../../src/core/base/address.ts";
import { encodeUtf8 } from "../../../src/core/base/utf8.ts";
import { DgramDatapath } from "../../../src/node/datapath/dgram.ts";
import { datapathCompliance } from "./compliance.ts";

datapathCompliance("dgram", () => new DgramDatapath());

const run = promisify(execFile);
const congestion = fileURLToPath(new URL("./congestion.ts", import.meta.url));
const exhaustion = fileURLToPath(new URL("./exhaustion.ts", import.meta.url));

// On loopback the kernel always has room. With this option Node never tries a send at once, so everything queues.
test("what the kernel has no room for waits, in order and unharmed, up to a bound", async () => {
  const { stdout } = await run(process.execPath, ["--test-udp-no-try-send", congestion, "dgram", "400", "100"]);
  const { accepted, stats, received, wrong } = JSON.parse(stdout);
  assert.equal(accepted, 256);
  assert.equal(received, 256);
  assert.equal(wrong, 0);
  assert.equal(stats.drops["queue-full"], 144);
  assert.equal(stats.packetsOut, 256);
});

test("the bytes that may wait are bounded too", async () => {
  const { stdout } = await run(process.execPath, ["--test-udp-no-try-send", congestion, "dgram", "400", "60000"]);
  const { accepted, stats } = JSON.parse(stdout);
  assert.equal(accepted, Math.floor((1 << 20) / 60_004));
  assert.equal(stats.drops["queue-full"], 400 - accepted);
});

test("a datagram of few hops arrives on its own host, and is dropped and counted where the socket is closed", async () => {
  const datapath = new DgramDatapath();
  const heard = Promise.withResolvers<string>();
  const bind = (handleDatagram: (data: Uint8Array) => void) => {
    const { promise, resolve, reject } = Promise.withResolvers<Readonly<Address>>();
    const sink = { handleBound: (_: number, at: Readonly<Address>) => resolve(at), handleBindFailed: reject };
    return { id: datapath.bind(parseIp("127.0.0.1")!, "relay", { ...sink, handleDatagram }), promise };
  };
  const sender = bind(() => {});
  const data = encodeUtf8("few hops");
  assert.equal(datapath.sendWithin(1, sender.id, data, parseIp("127.0.0.1", 9)!), false, "it is opening still");
  await sender.promise;
  const to = await bind((bytes) => heard.resolve(Buffer.from(bytes).toString())).promise;
  assert.equal(datapath.sendWithin(1, sender.id, data, to), true);
  assert.equal(await heard.promise, "few hops");
  assert.deepEqual([datapath.stats.packetsOut, datapath.stats.drops.closed], [1, 1]);
  await datapath.close();
});

test("without descriptors a bind fails as exhausted, and works again after a release", async () => {
  const command = `ulimit -n 80 && exec "${process.execPath}" "${exhaustion}" dgram`;
  const { stdout } = await run("/bin/sh", ["-c", command]);
  const { bindFailures, sockets, opened } = JSON.parse(stdout);
  assert.ok(opened > 10, `${opened} sockets opened`);
  assert.deepEqual(bindFailures, { busy: 0, exhausted: 100 - opened, gone: 0 });
  assert.ok(opened < 80);
  assert.equal(sockets, opened);
});
