import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { DgramDatapath } from "../../../src/node/datapath/dgram.ts";
import { datapathCompliance } from "./compliance.ts";

datapathCompliance("dgram", () => new DgramDatapath());

const run = promisify(execFile);
const congestion = fileURLToPath(new URL("./dgram-congestion.ts", import.meta.url));
const exhaustion = fileURLToPath(new URL("./dgram-exhaustion.ts", import.meta.url));

// On loopback the kernel always has room. With this option Node never tries a send at once, so everything queues.
test("what the kernel has no room for waits, in order and unharmed, up to a bound", async () => {
  const { stdout } = await run(process.execPath, ["--test-udp-no-try-send", congestion]);
  const { accepted, stats, received, wrong } = JSON.parse(stdout);
  assert.equal(accepted, 256);
  assert.equal(received, 256);
  assert.equal(wrong, 0);
  assert.equal(stats.drops["queue-full"], 144);
  assert.equal(stats.packetsOut, 256);
});

test("the bytes that may wait are bounded too", async () => {
  const { stdout } = await run(process.execPath, ["--test-udp-no-try-send", congestion, "60000"]);
  const { accepted, stats } = JSON.parse(stdout);
  assert.equal(accepted, Math.floor((1 << 20) / 60_004));
  assert.equal(stats.drops["queue-full"], 400 - accepted);
});

test("without descriptors a bind fails as exhausted, and works again after a release", async () => {
  const command = `ulimit -n 80 && exec "${process.execPath}" "${exhaustion}"`;
  const { stdout } = await run("/bin/sh", ["-c", command]);
  const { bindFailures, sockets, opened } = JSON.parse(stdout);
  assert.ok(opened > 10, `${opened} sockets opened`);
  assert.deepEqual(bindFailures, { busy: 0, exhausted: 100 - opened, gone: 0 });
  assert.ok(opened < 80);
  assert.equal(sockets, opened);
});
