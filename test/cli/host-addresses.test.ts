/** The daemon follows the addresses of its host: in a network namespace of its own, where they can be changed. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { formatIp } from "../../src/core/base/address.ts";
import { wallClock } from "../../src/node/clock.ts";
import { makeCredentials } from "../../src/server/time-limited-credentials.ts";
import { boundUdpSockets } from "../support/bound-sockets.ts";
import { runChild } from "../support/child.ts";
import { logLines, startDaemon } from "../support/daemon.ts";
import { requirePeer, requirePrivilege } from "../support/peers.ts";
import { TurnClient } from "../support/turn-client.ts";
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
  // What the kernel says, besides what the log does.
  const bound = () => boundUdpSockets({ low: port, high: port }, daemon.child.pid);
  const before = bound();
  const all = [`udp 10.9.9.9:${port}`, `tcp 10.9.9.9:${port}`, `tls 10.9.9.9:${tlsPort}`].sort();

  await ip("addr", "add", "10.9.9.9/32", "dev", "lo");
  await until("its listeners", () => listeners("listener-opened").length === 3, { within: 60_000 });
  assert.deepEqual(listeners("listener-opened").sort(), all);
  // One, or two where requests have a queue of their own.
  assert.ok(bound() > before);
  await ip("addr", "del", "10.9.9.9/32", "dev", "lo");
  await until("their end", () => listeners("listener-closed").length === 3, { within: 60_000 });
  assert.deepEqual(listeners("listener-closed").sort(), all);
  await until("the socket to be closed", () => bound() === before);
  assert.equal(daemon.child.ending(), undefined);
});

test("an external host name is looked up again, and new sessions are told where it points", { skip }, async () => {
  const directory = await mkdtemp(join(tmpdir(), "postern-hosts-"));
  const hosts = join(directory, "hosts");
  const pointTo = (address: string) => writeFile(hosts, `127.0.0.1 localhost\n${address} turn.postern.test\n`);
  try {
    await pointTo("203.0.113.5");
    const through = ["unshare", "--mount", "sh", "-c", `mount --bind ${hosts} /etc/hosts && exec "$0" "$@"`];
    const secret = "a-secret-that-the-test-knows";
    const flags = ["--external-address", "turn.postern.test", "--external-address-interval", "1s"];
    await using daemon = await startDaemon({ through, flags, env: { POSTERN_SHARED_SECRETS: secret } });
    const { username, credential: password } = makeCredentials(
      { hash: "sha1", secret: Buffer.from(secret) },
      { ttl: 60, now: wallClock.now() },
    );
    const told = async () => {
      await using session = await TurnClient.connect({ port: daemon.ports.port, username, password });
      return formatIp((await session.allocate()).relayed[0]!);
    };
    assert.equal(await told(), "203.0.113.5");
    await pointTo("203.0.113.6");
    await daemon.logged("external-address-changed");
    assert.equal(await told(), "203.0.113.6");
    await writeFile(hosts, "127.0.0.1 localhost\n");
    await daemon.logged("external-address-kept", { within: 60_000 });
    assert.equal(await told(), "203.0.113.6");
  } finally {
    await rm(directory, { recursive: true });
  }
});
