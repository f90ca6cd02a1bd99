/**
 * `postern helper -- serve`: one command becomes a daemon that may do nothing, beside a helper that may do two things. Either of
 * them is ended while packets flow.
 */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, test } from "node:test";
import { requirePeer } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { HelpedRelay, owner, Stream, slow } from "./helped-relay.ts";
import { requireOffload } from "./offload-network.ts";

const skip = requireOffload() || requirePeer("setpriv");

/** By name, what the kernel says of a process. */
async function statusOf(pid: number): Promise<(name: string) => string> {
  const text = await readFile(`/proc/${pid}/status`, "utf8");
  return (name) => new RegExp(`^${name}:[ \\t]*(\\S+)`, "m").exec(text)?.[1] ?? "";
}

const isThere = async (pid: number) => readFile(`/proc/${pid}/status`).then(String, () => "");

/** The child of a process, which has one. */
async function childOf(parent: number): Promise<number> {
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    if (new RegExp(`^PPid:\\s*${parent}$`, "m").test(await isThere(Number(name)))) return Number(name);
  }
  throw new Error(`${parent} has no child`);
}

describe("a daemon beside a helper that was started with it", { skip, timeout: 300_000 }, () => {
  let relay: HelpedRelay;

  beforeEach(async () => {
    relay = await HelpedRelay.open();
  });
  afterEach(() => relay?.close());

  test("postern helper becomes a daemon that may do nothing, beside a helper that may do two things", async () => {
    const server = await relay.network.start({ owner, behind: ["helper", "--user", `${owner}`, "--"] });
    await relay.isOn(server);
    const helper = await childOf(server.pid);
    const [daemon, other] = [await statusOf(server.pid), await statusOf(helper)];
    const sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    assert.deepEqual([...new Set(sets.map(daemon))], ["0000000000000000"]);
    // CAP_NET_ADMIN is 12, CAP_BPF 39.
    assert.deepEqual([...new Set(sets.map(other))], ["0000008000001000"]);
    assert.deepEqual(
      [daemon("Uid"), daemon("Gid"), daemon("NoNewPrivs"), daemon("Groups")],
      [`${owner}`, `${owner}`, "1", ""],
    );
    assert.deepEqual([other("Uid"), other("NoNewPrivs"), other("Groups")], ["65534", "1", ""]);
    const made = await relay.allocated(server, 4, 4);
    await relay.isForwarded(server, made);
    const stream = new Stream(made.one);
    await stream.more(100);
    process.kill(helper, "SIGKILL");
    await relay.isOff(server);
    assert.match(server.output(), /"offload-helper-gone".*until the service is restarted/);
    assert.equal(await server.metric("offload_up"), 0);
    await stream.more(100);
    const { sent, heard } = await stream.end();
    assert.ok(heard >= 21 + sent - 2, `${sent} sent, ${heard - 21} heard`);
    assert.deepEqual([await relay.flowsOf(server), await relay.network.attached()], [0, 0]);
    await relay.hasCounted(server, 21 + sent);
    await relay.isRelayed(server, made);
    assert.deepEqual([server.told("offload-is-on"), server.told("offload-is-off")], [1, 1]);
  });

  test("the helper that was started with a daemon ends with it, however that ends", async () => {
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const server = await relay.network.start({ owner, behind: ["helper", "--user", `${owner}`, "--"] });
      await relay.isOn(server);
      const made = [await relay.allocated(server, 4, 4), await relay.allocated(server, 6, 6)] as const;
      const helper = await childOf(server.pid);
      assert.equal(await relay.network.attached(), 2);
      // Of a service, systemd asks every process to end; the helper waits for the daemon's last word.
      process.kill(helper, "SIGTERM");
      await relay.isForwarded(server, made[0]);
      process.kill(server.pid, signal);
      await until("the helper to end", async () => (await isThere(helper)) === "", slow);
      assert.equal(await relay.network.attached(), 0);
      await server.stop();
      for (const { stop } of made) await stop();
    }
  });

  test("each shard has a program of its own from the one helper that was started with the daemon", async () => {
    const settings = { shards: 2 };
    const server = await relay.network.start({ owner, behind: ["helper", "--user", `${owner}`, "--"], settings });
    await relay.isOn(server, 2);
    const made = [await relay.allocated(server, 4, 4), await relay.allocated(server, 6, 6)];
    for (const one of made) await relay.isForwarded(server, one);
    process.kill(await childOf(server.pid), "SIGKILL");
    await relay.isOff(server, 2);
    assert.equal(await relay.network.attached(), 0);
    for (const one of made) await relay.isRelayed(server, one);
  });
});
