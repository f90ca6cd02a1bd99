import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { formatAddress, parseIp } from "../../../src/core/base/address.ts";
import { ipFieldsOf } from "../../../src/core/base/ip-fields.ts";
import { MmsgDatapath } from "../../../src/node/datapath/mmsg.ts";
import { requireForeign, requirePeer, requirePrivilege } from "../../support/peers.ts";
import { until } from "../../support/until.ts";
import { datapathCompliance, Recorder } from "./compliance.ts";

const foreign = requireForeign();
datapathCompliance("mmsg", () => new MmsgDatapath(), foreign);
// Compliance is the same when everything waits for company.
datapathCompliance("paced mmsg", () => new MmsgDatapath({ wakeDelay: 1_000 }), foreign);

datapathCompliance("merging mmsg", () => new MmsgDatapath({ merges: "always" }), foreign);
datapathCompliance("mmsg that merges bursts", () => new MmsgDatapath({ merges: "bursts" }), foreign);

test("busy or not, every datagram is heard, in order", { skip: foreign }, async () => {
  await using held = new AsyncDisposableStack();
  const datapath = held.adopt(new MmsgDatapath({ wakeDelay: 1_000 }), (closing) => closing.close());
  const sink = new Recorder();
  datapath.bind(parseIp("127.0.0.1")!, "listener", sink);
  const { port } = await until("the socket to open", () => sink.address);
  const peer = held.adopt(createSocket("udp4"), (closing) => void closing.close());
  let sent = 0;
  const send = () => peer.send(Buffer.from(String(sent++)), port, "127.0.0.1");
  for (let busy = 0; busy < 3; busy++) {
    // Ten a millisecond, which is worth waiting for; then one, which is not.
    for (let i = 0; i < 40; i++) {
      for (let k = 0; k < 10; k++) send();
      await delay(1);
    }
    await until("all that was sent", () => sink.datagrams.length === sent);
    await delay(20);
    send();
    await until("one more", () => sink.datagrams.length === sent);
  }
  assert.deepEqual(
    sink.datagrams.map(({ data }) => Number(data.toString())),
    Array.from({ length: sent }, (_, i) => i),
  );
});

test("a socket that is told with what datagrams come is, after others that are not", { skip: foreign }, async () => {
  await using held = new AsyncDisposableStack();
  const open = () => held.adopt(new MmsgDatapath({ merges: "always" }), (closing) => closing.close());
  const [datapath, sender] = [open(), open()];
  const [listener, relay, from] = [new Recorder(), new Recorder(), new Recorder()];
  datapath.bind(parseIp("127.0.0.1")!, "listener", listener);
  datapath.bind(parseIp("127.0.0.1")!, "relay", relay);
  sender.bind(parseIp("127.0.0.1")!, "relay", from);
  await until("the sockets to open", () => listener.address && relay.address && from.address);
  const marks = ipFieldsOf(0xb8, 44);
  // So many that several are received at once.
  for (let i = 0; i < 60; i++) sender.send(from.socket!, Buffer.alloc(64 + i), 0, 64 + i, listener.address!);
  await until("all for the listener", () => listener.datagrams.length === 60);
  const texts = Array.from({ length: 8 }, (_, i) => `${i}`.repeat(600));
  for (const text of texts) sender.send(from.socket!, Buffer.from(text), 0, text.length, relay.address!, marks);
  await until("all for the relay", () => relay.datagrams.reduce((sum, { data }) => sum + data.length, 0) === 8 * 600);
  assert.deepEqual(
    relay.datagrams.map(({ data }) => data.toString()),
    texts,
  );
  assert.deepEqual(new Set(relay.fields), new Set([marks]));
});

test("whoever sends with few hops left takes none from others", { skip: foreign }, async () => {
  await using held = new AsyncDisposableStack();
  const open = () => held.adopt(new MmsgDatapath(), (closing) => closing.close());
  const [datapath, sender] = [open(), open()];
  const [relay, stranger, peer] = [new Recorder(), new Recorder(), new Recorder()];
  datapath.bind(parseIp("127.0.0.1")!, "relay", relay);
  for (const one of [stranger, peer]) sender.bind(parseIp("127.0.0.1")!, "relay", one);
  await until("the sockets to open", () => relay.address && stranger.address && peer.address);
  let sent = 0;
  const send = async ({ socket }: Recorder, hops: number): Promise<void> => {
    sender.send(socket!, Buffer.from("x"), 0, 1, relay.address!, ipFieldsOf(0, hops));
    await until("it", () => relay.fields.length === sent + 1);
    sent++;
  };
  for (let i = 0; i < 20; i++) {
    await send(stranger, 1);
    for (let k = 0; k < 3; k++) await send(peer, 60);
  }
  const heard = relay.datagrams.map(({ from }, i) => [from, relay.fields[i]] as const);
  const ofPeer = heard.filter(([from]) => from === formatAddress(peer.address!));
  assert.equal(ofPeer.length, 60);
  assert.deepEqual(new Set(ofPeer.map(([, fields]) => fields)), new Set([ipFieldsOf(0, 60)]));
});

test("after its share of datagrams everything else in the process gets its turn", { skip: foreign }, async () => {
  await using held = new AsyncDisposableStack();
  const datapath = held.adopt(new MmsgDatapath({ mostInTurn: 8 }), (closing) => closing.close());
  const sink = new Recorder();
  datapath.bind(parseIp("127.0.0.1")!, "listener", sink);
  const { port } = await until("the socket to open", () => sink.address);
  const peer = held.adopt(createSocket("udp4"), (closing) => void closing.close());
  const heard: number[] = [];
  for (let i = 0; i < 200; i++) peer.send("x", port, "127.0.0.1");
  while (sink.datagrams.length < 200) {
    heard.push(sink.datagrams.length);
    await new Promise((done) => setImmediate(done));
  }
  const shares = heard.map((count, turn) => count - (heard[turn - 1] ?? 0));
  assert.equal(Math.max(...shares), 8);
});

const run = promisify(execFile);
const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const congestion = script("./congestion.ts");
const fragments = fileURLToPath(new URL("./fragments.ts", import.meta.url));

test("without descriptors a bind fails as exhausted, and works again after a release", { skip: foreign }, async () => {
  const command = `ulimit -n 80 && exec "${process.execPath}" "${script("./exhaustion.ts")}" mmsg`;
  const { stdout } = await run("/bin/sh", ["-c", command]);
  const { bindFailures, sockets, opened } = JSON.parse(stdout);
  assert.ok(opened > 10, `${opened} sockets opened`);
  assert.deepEqual(bindFailures, { busy: 0, exhausted: 100 - opened, gone: 0 });
  assert.equal(sockets, opened);
});

describe("mmsg on a network of its own", {
  skip: foreign || requirePeer("unshare", "ip", "tc") || requirePrivilege("sys-admin", "net-admin"),
}, () => {
  /** Runs a script of this directory where loopback is as `setup` makes it. */
  async function runWhere(setup: string, ...args: readonly string[]): Promise<string> {
    const command = `ip link set lo up && ${setup} && "${process.execPath}" ${args.join(" ")}`;
    const { stdout } = await run("unshare", ["--net", "/bin/sh", "-c", command]);
    return stdout;
  }

  /** Datagrams wait in the interface, so that the socket's own buffer fills. */
  const slow = (rate: string) => `tc qdisc add dev lo root tbf rate ${rate} burst 100k latency 60s`;

  test("what the kernel has no room for waits, in order and unharmed, up to a bound", async () => {
    const { accepted, stats, received, wrong } = JSON.parse(
      await runWhere(slow("20mbit"), congestion, "mmsg 2000 1000"),
    );
    assert.ok(accepted > 256 && accepted < 2_000, `${accepted} accepted`);
    assert.equal(stats.drops["queue-full"], 2_000 - stats.packetsOut);
    assert.equal(received, stats.packetsOut);
    assert.equal(wrong, 0);
  });

  test("the bytes that may wait are bounded too", async () => {
    const { stats, received, wrong } = JSON.parse(await runWhere(slow("20mbit"), congestion, "mmsg 100 60000"));
    // Some more are in the socket's own buffer, or have left meanwhile.
    const waited = Math.floor((1 << 20) / 60_004);
    assert.ok(stats.packetsOut >= waited && stats.packetsOut <= waited + 20, `${stats.packetsOut} sent`);
    assert.equal(stats.drops["queue-full"], 100 - stats.packetsOut);
    assert.deepEqual([received, wrong], [stats.packetsOut, 0]);
  });

  test("what is too long for the way is not sent many at a time, and arrives", async () => {
    for (const size of [1_400, 1_472 - 4, 1_473 - 4, 3_000, 9_000]) {
      const args = [congestion, `mmsg 100 ${size}`];
      const { stats, received, wrong } = JSON.parse(await runWhere("ip link set lo mtu 1500", ...args));
      assert.deepEqual([stats.packetsOut, received, wrong, stats.socketErrors], [100, 100, 0, 0], `${size} bytes`);
    }
  });

  test("RFC 8656 §14: DF is set when it is asked for, and else is not", { skip: requirePeer("nft") }, async () => {
    const count = (condition: string) =>
      `nft add rule ip t out udp dport 9999 ip frag-off and 0x4000 ${condition} counter`;
    const setup = [
      "ip link set lo mtu 1500",
      "nft add table ip t",
      "nft 'add chain ip t out { type filter hook output priority 0; }'",
      count("!= 0"),
      count("== 0"),
    ].join(" && ");
    for (const purpose of ["relay", "turn-listener"]) {
      const out = await runWhere(setup, fragments, `9999 ${purpose} && nft list ruleset`);
      const [report = "", rules = ""] = out.split(/(?<=\})(?=table)/);
      const { answers, received, errors, drops } = JSON.parse(report);
      assert.deepEqual(answers, [true, true, true, true, true, true, false, true]);
      assert.deepEqual(received, [1, 2, 3, 4, 5, 3_000, 6, ...Array(4).fill(1_004)], "in order");
      assert.equal(drops, 1);
      if (purpose === "relay") assert.deepEqual(errors, ["127.0.0.1:9999 3/4 1500"]);
      // Locally made segments pass the filter as one packet, and fragments before they are cut.
      const [whole, cut] = [...rules.matchAll(/packets (\d+)/g)].map(([, packets]) => Number(packets));
      assert.equal(whole, 2);
      assert.equal(cut, 6);
    }
  });
});
