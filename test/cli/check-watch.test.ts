/** `postern check --watch`: a server that goes away and comes back, seen from outside; and what rounds add up to. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, test } from "node:test";
import { Chronicle, type PathSeen } from "../../src/cli/check/watch-chronicle.ts";
import { describeRound, describeSummary, duration } from "../../src/cli/check/watch-words.ts";
import { parseIp } from "../../src/core/base/address.ts";
import { startChild } from "../support/child.ts";
import { cleanEnvironment, postern } from "../support/daemon.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { startPostern } from "../support/postern.ts";
import type { RelayOptions } from "../support/relay-under-test.ts";
import { until } from "../support/until.ts";

const user = { name: "alice", password: "wonderland" };
const env = { ...cleanEnvironment, https_proxy: "", HTTPS_PROXY: "", POSTERN_CHECK_PASSWORD: user.password };

async function relayOptions(): Promise<RelayOptions> {
  return { user, relayPorts: await freePortRange(64), allowPeers: ["127.0.0.0/8"], port: await freePort() };
}

function watch(port: number, ...args: readonly string[]) {
  return startChild(
    postern("check", `turn:127.0.0.1:${port}`, "--user", user.name, "--watch", "--every", "1s", ...args),
    { env },
  );
}

const lines = (output: string) => output.split("\n").filter((line) => line !== "");

describe("whoever reads what a watch says", () => {
  test("ends it by reading no more, as head does, and nothing is left at the server", async () => {
    const options = await relayOptions();
    const relay = await startPostern(options);
    const uri = `turn:127.0.0.1:${options.port}?transport=udp`;
    const [command, ...args] = postern("check", uri, "--user", user.name, "--watch", "--every", "1s");
    const child = spawn(command as string, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    let complaint = "";
    child.stderr.setEncoding("utf8").on("data", (text) => (complaint += text));
    await until("a session", async () => (await relay.metric("postern_turn_allocations")) === 2);
    child.stdout.destroy();
    const [code] = await once(child, "exit");
    assert.equal(complaint, "");
    assert.ok(code === 0 || code === 2, `${code}`);
    await until("no allocation", async () => (await relay.metric("postern_turn_allocations")) === 0);
    await relay.stop();
  });
});

describe("a server that is killed and started again while it is watched", () => {
  test("the outage is told with its begin and its end, the session is replaced, and the summary adds up", async () => {
    const options = await relayOptions();
    let relay = await startPostern(options);
    const child = await watch(options.port);
    try {
      const said = (what: RegExp) =>
        until(`${what} in:\n${child.output()}`, () => what.exec(child.output()), { within: 60_000 });
      await said(/UDP [\d.]+ ms.*relay UDP [\d.]+ ms.*relay TCP [\d.]+ ms/);
      await said(/relay UDP [\d.]+ ms, jitter [\d.]+ ms, loss 0 %/);
      process.kill(relay.pid, "SIGKILL");
      await until("the end", () => !relay.isRunning());
      await said(/relay UDP died at \d\d:\d\d:\d\d/);
      await said(/relay TCP died at/);
      await said(/ECONNREFUSED/);
      relay = await startPostern(options);
      await said(/relay UDP goes on over a new session/);
      await said(/relay UDP is back since .* after/);
      await said(/relay TCP is back since/);
      await said(/(?<!relay )UDP is back since/);
      assert.doesNotMatch(child.output(), /(?<!relay )UDP goes on over/);
      await until("two pairs", async () => (await relay.metric("postern_turn_allocations")) === 4, { within: 60_000 });
      const { code } = await child.stop("SIGINT");
      assert.equal(code, 2, child.output());
      assert.match(child.output(), /Watched for [\d.]+ s/);
      for (const way of ["UDP", "relay UDP", "relay TCP"]) {
        assert.match(child.output(), new RegExp(`^ {2}${way}: 1 outage \\(\\d\\d:\\d\\d:\\d\\d for [\\d.]+ s\\)`, "m"));
      }
      await until("no allocation", async () => (await relay.metric("postern_turn_allocations")) === 0);
    } finally {
      await child.stop();
      await relay.stop();
    }
  });

  test("where nothing fails the exit status is 0; --json is an object a line, the summary last", async () => {
    const options = await relayOptions();
    const relay = await startPostern(options);
    const child = await watch(options.port, "--json");
    try {
      await until("two rounds", () => lines(child.output()).length >= 2, { within: 60_000 });
      assert.equal((await child.stop("SIGTERM")).code, 0, child.output());
      const told = lines(child.output()).map((line) => JSON.parse(line));
      const { summary } = told.pop();
      assert.deepEqual(told.at(-1).changes, []);
      assert.deepEqual(
        told.at(-1).paths.map((one: { path: string; works: boolean }) => `${one.path} ${one.works}`),
        ["UDP true", "relay UDP true", "relay TCP true"],
      );
      assert.match(told[0].paths[0].mapped, /^127\.0\.0\.1:\d+$/);
      assert.deepEqual(
        summary.paths.map((one: { outages: unknown[]; lost: number }) => [one.outages, one.lost]),
        [
          [[], 0],
          [[], 0],
          [[], 0],
        ],
      );
    } finally {
      await child.stop();
      await relay.stop();
    }
  });

  test("what never works says why, and ends with 2", async () => {
    const options = await relayOptions();
    const relay = await startPostern(options);
    const uri = `turn:127.0.0.1:${options.port}?transport=tcp`;
    const child = await startChild(postern("check", uri, "--user", "mallory", "--watch", "--every", "1s"), { env });
    try {
      await until("a line", () => lines(child.output()).length >= 2, { within: 60_000 });
      assert.equal((await child.stop("SIGINT")).code, 2);
      assert.match(child.output(), /relay TCP: user name and password do not fit \(401\)/);
      assert.match(child.output(), /relay TCP: never worked/);
    } finally {
      await child.stop();
      await relay.stop();
    }
  });
});

const transit = (ms: number) => ({ min: ms, median: ms, p95: ms, max: ms, jitter: 1, worstJitter: 2 });

function seen(changes: Partial<PathSeen> & { readonly lost?: number; readonly ms?: number | undefined }): PathSeen {
  const { lost = 0, ms = 20, ...rest } = changes;
  const pass = { lost: 0, transit: undefined };
  const roundTrip = lost === 10 ? undefined : transit(ms);
  return {
    figures: { sent: 10, lost, reordered: 0, roundTrip, there: pass, back: pass },
    ...{ isOut: lost === 10, outages: [], mapped: parseIp("203.0.113.10", 5000)!, carriers: 1, failure: undefined },
    ...rest,
  };
}

describe("the rounds of a watch", () => {
  const at = (second: number) => new Date(2026, 0, 1, 10, 0, second);

  test("say what changed, once", () => {
    const chronicle = new Chronicle(["UDP", "relay UDP"]);
    const changes = (...paths: PathSeen[]) => {
      const round = { time: at(0), ...chronicle.add(paths) };
      return { kinds: round.changes.map(({ path, kind }) => `${path} ${kind}`), words: describeRound(round) };
    };
    assert.deepEqual(changes(seen({}), seen({})).kinds, []);
    const lasting = [{ from: at(5), until: undefined }];
    const died = changes(seen({ lost: 10, outages: lasting }), seen({}));
    assert.deepEqual(died.kinds, ["UDP died"]);
    assert.match(died.words, /UDP: nothing comes back; relay UDP 20 ms.* ! UDP died at 10:00:05/);
    assert.deepEqual(changes(seen({ lost: 10, outages: lasting, mapped: undefined }), seen({})).kinds, []);
    const over = [{ from: at(5), until: at(17) }];
    const moved = parseIp("198.51.100.7", 6000)!;
    const back = changes(seen({ outages: over, mapped: moved }), seen({ mapped: moved, carriers: 2 }));
    assert.deepEqual(back.kinds, ["UDP back", "UDP address", "relay UDP replaced"]);
    assert.match(back.words, /UDP is back since 10:00:17, after 12 s/);
    assert.match(back.words, /the public address changed from 203\.0\.113\.10 to 198\.51\.100\.7; relay UDP goes on/);
    const short = [...over, { from: at(30), until: at(34) }];
    const again = changes(
      seen({ outages: short, mapped: { ...moved, port: 6001 } }),
      seen({ mapped: moved, carriers: 2 }),
    );
    assert.deepEqual(again.kinds, ["UDP away", "UDP mapping"]);
    assert.match(
      again.words,
      /was away at 10:00:30 for 4\.0 s; the NAT's mapping for UDP changed from .*:6000 to .*:6001/,
    );
    const other = changes(
      seen({ outages: short, mapped: { ...moved, port: 7 }, carriers: 2 }),
      seen({ mapped: moved, carriers: 2 }),
    );
    assert.deepEqual(other.kinds, ["UDP replaced"], "another socket has another port");
  });

  test("add up to a summary with the worst of them, and the outages", () => {
    const chronicle = new Chronicle(["UDP", "TLS"]);
    const outages = [
      { from: at(5), until: at(17) },
      { from: at(50), until: undefined },
    ];
    const failure = "no connection";
    chronicle.add([seen({ ms: 80, lost: 3 }), seen({ lost: 10, failure })]);
    chronicle.add([seen({ ms: 30, lost: 1, outages }), seen({ lost: 10, failure })]);
    const words = describeSummary({ began: at(0), ended: at(59), paths: chronicle.summary });
    assert.match(words, /Watched for 59 s, from 10:00:00 to 10:00:59/);
    assert.match(words, /UDP: 2 outages \(10:00:05 for 12 s, 10:00:50 until the end\); 20 % of 20 packets lost/);
    assert.match(words, /worst: 80 ms there and back, jitter 1\.0 ms, loss 30 % in one round/);
    assert.match(words, /TLS: never worked/);
  });

  test("durations", () => {
    assert.deepEqual([3.21, 59.4, 185, 7_500].map(duration), ["3.2 s", "59 s", "3 min 5 s", "2 h 5 min"]);
  });
});
