/** `postern serve --shards 2` as users run it: with coturn's client, when a worker fails, and at its end. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { runChild, startChild } from "../support/child.ts";
import { cleanEnvironment, logLines, postern, type RunningDaemon, startDaemon } from "../support/daemon.ts";
import { requireForeign, requireIpv6, requirePeer } from "../support/peers.ts";
import { Refused, TurnClient } from "../support/turn-client.ts";
import { until } from "../support/until.ts";
import { messageBytes, messages, runUclient } from "./uclient.ts";

const skip = requireForeign() || requireIpv6();
const user = { username: "alice", password: "wonderland" } as const;
const asUser = ["-u", user.username, "-w", user.password];
const faults = join(import.meta.dirname, "../node/shard/faults.ts");

async function start(flags: readonly string[] = []): Promise<RunningDaemon> {
  const daemon = await startDaemon({
    listen: ["127.0.0.1", "::1"],
    flags: ["--shards", "2", "--auth", "users", "--channel-range", "rfc5766", "--allow-peers", "127.0.0.0/8", ...flags],
    env: { NODE_OPTIONS: `--import ${faults}` },
  });
  const child = ["user", "add", user.username, "--password-stdin", "--data-dir", daemon.dataDir, "--realm", "postern"];
  const add = await runChild(["/bin/sh", "-c", `printf %s '${user.password}' | "$@"`, "sh", ...postern(...child)], {
    env: cleanEnvironment,
  }).catch((cause) => {
    throw new Error("no user was added", { cause });
  });
  assert.ok(add.length > 0);
  return daemon;
}

async function metric({ ports }: RunningDaemon, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${ports.httpPort}/metrics`)).text();
  const line = text.split("\n").find((one) => one.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

const connect = ({ ports }: RunningDaemon) => TurnClient.connect({ port: ports.port, ...user });

describe("coturn's client against two shards", {
  skip: skip || requirePeer("turnutils_uclient"),
  timeout: 180_000,
}, () => {
  let daemon: RunningDaemon;
  before(async () => {
    daemon = await start();
  });
  after(() => daemon?.[Symbol.asyncDispose]());

  for (const [name, args] of [
    ["UDP", []],
    ["UDP, Send indications", ["-s"]],
    ["TCP", ["-t"]],
    ["TLS", ["-t", "-S", "-z", "50"]],
  ] as const) {
    for (const server of ["127.0.0.1", "::1"]) {
      test(`${name}, client to client, at ${server}`, async () => {
        const port = name === "TLS" ? daemon.ports.tlsPort : daemon.ports.port;
        const all = ["-p", `${port}`, ...asUser, "-y", "-c", ...args, ...(server === "::1" ? ["-x"] : [])];
        let tally = await runUclient(server, all);
        // Over TLS this client loses what comes together with the message before.
        for (let i = 0; name === "TLS" && i < 3 && tally.receivedBytes !== tally.sentBytes; i++) {
          tally = await runUclient(server, all);
        }
        assert.equal(tally.sentBytes, 2 * messages * messageBytes);
        assert.equal(tally.receivedBytes, tally.sentBytes);
      });
    }
  }

  test("it is said how many there are, and what they do", async () => {
    const serving = await daemon.logged("serving");
    assert.deepEqual(serving["shards"], ["udp 0", "udp 1", "streams"]);
    assert.match(daemon.child.output(), /2 threads serve UDP, one more TCP and TLS\./);
    const health = await (await fetch(`http://127.0.0.1:${daemon.ports.httpPort}/healthz`)).json();
    assert.equal((health as { up: number }).up, 3);
    for (const shard of ["udp 0", "udp 1", "streams"])
      assert.equal(await metric(daemon, `postern_shard_up{shard="${shard}"}`), 1);
    assert.ok((await metric(daemon, "postern_turn_allocations_total")) >= 16);
  });
});

describe("two shards", { skip, timeout: 180_000 }, () => {
  test("a worker fails: the daemon says so, and serves on", async () => {
    await using daemon = await start();
    await using held = new AsyncDisposableStack();
    const clients = await Promise.all(Array.from({ length: 12 }, async () => held.use(await connect(daemon))));
    await Promise.all(clients.map((client) => client.allocate()));
    process.kill(daemon.child.pid, "SIGUSR2");
    const ended = await daemon.logged("shard-ended");
    assert.equal(ended["shard"], "udp 0");
    assert.match(JSON.stringify(ended["err"]), /broken on purpose/);
    const lost = ended["lost"] as number;
    assert.ok(lost > 0 && lost < clients.length);
    assert.equal(await metric(daemon, 'postern_shard_lost_allocations_total{shard="udp 0"}'), lost);
    assert.equal(await metric(daemon, 'postern_shard_failures_total{shard="udp 0"}'), 1);
    assert.equal(await metric(daemon, "postern_turn_allocations"), clients.length - lost);
    const kept = await Promise.all(
      clients.map((client) =>
        client.refresh(600).then(
          () => 1,
          (error: unknown) => {
            assert.ok(error instanceof Refused && error.code === 437, String(error));
            return 0;
          },
        ),
      ),
    );
    assert.equal(
      kept.reduce((sum: number, one) => sum + one, 0),
      clients.length - lost,
    );
    await using again = await connect(daemon);
    await again.allocate();
  });

  test("what changes reaches all of them: a user who is removed", async () => {
    await using daemon = await start();
    await using held = new AsyncDisposableStack();
    for (let i = 0; i < 8; i++) await held.use(await connect(daemon)).allocate();
    await runChild(postern("user", "remove", user.username, "--data-dir", daemon.dataDir), { env: cleanEnvironment });
    await until("the end of all sessions", async () => (await metric(daemon, "postern_turn_allocations")) === 0, {
      within: 20_000,
    });
  });

  test("no thread serves TCP and TLS where both are off", async () => {
    await using daemon = await start(["--tcp-port", "off", "--tls-port", "off"]);
    assert.deepEqual((await daemon.logged("serving"))["shards"], ["udp 0", "udp 1"]);
    assert.match(daemon.child.output(), /2 threads serve UDP\./);
    await using client = await connect(daemon);
    await client.allocate();
  });

  test("SIGTERM waits for sessions, and ends with them", async () => {
    await using daemon = await start(["--drain-deadline", "30s"]);
    await using client = await connect(daemon);
    await client.allocate();
    process.kill(daemon.child.pid, "SIGTERM");
    await daemon.logged("draining");
    await using late = await connect(daemon);
    await assert.rejects(late.allocate(), (error) => error instanceof Refused && error.code === 508);
    await client.refresh(0);
    assert.deepEqual(await daemon.child.ended(), { code: 0, signal: null });
    assert.equal((await daemon.logged("stopped"))["ended"], 0);
  });

  test("SIGTERM ends what is left at the deadline", async () => {
    await using daemon = await start(["--drain-deadline", "1s"]);
    await using client = await connect(daemon);
    await client.allocate();
    process.kill(daemon.child.pid, "SIGTERM");
    assert.deepEqual(await daemon.child.ended(), { code: 0, signal: null });
    assert.equal((await daemon.logged("stopped"))["ended"], 1);
  });

  test("SIGTERM ends a process with a worker inside a system call, which it is said to hang in", async () => {
    await using daemon = await start();
    process.kill(daemon.child.pid, "SIGWINCH");
    const { shard } = await daemon.logged("shard-hung", { within: 60_000 });
    assert.equal(shard, "udp 0");
    process.kill(daemon.child.pid, "SIGTERM");
    assert.deepEqual(await daemon.child.ended(), { code: null, signal: "SIGKILL" });
    const events = logLines(daemon.child.output()).map(({ event }) => event);
    assert.deepEqual(events.slice(-2), ["shard-stuck", "stopped"]);
  });

  test("Node's own sockets cannot be shared: several shards need mmsg", async () => {
    const child = await startChild(postern("serve", "--shards", "2", "--datapath", "dgram"), { env: cleanEnvironment });
    const { code } = await child.ended();
    assert.equal(code, 1);
    assert.match(child.output(), /shards must be 1 with datapath: dgram, or auto/);
  });
});
