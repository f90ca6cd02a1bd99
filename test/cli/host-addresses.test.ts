/** The daemon follows the addresses of its host: in a network namespace of its own, where they can be changed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runChild } from "../support/child.ts";
import { logLines, startDaemon } from "../support/daemon.ts";
import { requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";

const skip = requirePeer("ip") || requirePrivilege("sys-admin", "net-admin");

test("a new address gets listeners, and one that is gone loses them", { skip }, async () => {
  const through = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$0" "$@"'];
  await using daemon = await startDaemon({
    through,
    listen: [],
    flags: ["--log-level", "debug", "--http-listen", "off"],
  });
  const { port, tlsPort } = daemon.ports;
  const ip = (...args: readonly string[]) =>
    runChild(["nsenter", "--target", `${daemon.child.pid}`, "--net", "ip", ...args]);
  const listeners = (event: string) =>
    logLines(daemon.child.output())
      .filter((line) => line["event"] === event && String(line["listener"]).includes("10.9.9.9"))
      .map((line) => line["listener"]);
  const all = [`udp 10.9.9.9:${port}`, `tcp 10.9.9.9:${port}`, `tls 10.9.9.9:${tlsPort}`].sort();

  await ip("addr", "add", "10.9.9.9/32", "dev", "lo");
  await until("its listeners", () => listeners("listener-opened").length === 3, { within: 15_000 });
  assert.deepEqual(listeners("listener-opened").sort(), all);
  await ip("addr", "del", "10.9.9.9/32", "dev", "lo");
  await until("their end", () => listeners("listener-closed").length === 3, { within: 15_000 });
  assert.deepEqual(listeners("listener-closed").sort(), all);
  assert.equal(daemon.child.ending(), undefined);
});
