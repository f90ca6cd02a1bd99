/**
 * The helper as a service of its own: the daemon finds it, loses it and finds it again, and relays as a user who may do nothing.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Helper } from "../../src/node/datapath/ebpf/helper-client.ts";
import { startChild } from "../support/child.ts";
import { requirePeer } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { as, HelpedRelay, owner, Stream, slow } from "./helped-relay.ts";
import { requireOffload } from "./offload-network.ts";

const skip = requireOffload() || requirePeer("setpriv");

/** Neither the daemon nor the helper. */
const stranger = 64_002;

/** By its code, why there is no program. */
async function refusalOf(helper: Helper): Promise<string | undefined> {
  for (let i = 0; i < 1_000; i++) {
    try {
      assert.equal(helper.open(), undefined);
    } catch (error) {
      return (error as { code?: string }).code;
    }
    await delay(10);
  }
  return undefined;
}

describe("a daemon and a helper that find each other", { skip, timeout: 300_000 }, () => {
  let relay: HelpedRelay;

  beforeEach(async () => {
    relay = await HelpedRelay.open();
  });
  afterEach(() => relay?.close());

  test("a helper that is not there, comes, is killed under load and comes again", async () => {
    const server = await relay.startDaemon();
    await relay.isOff(server);
    assert.match(server.output(), /"code":"offload-helper-unreachable","problem":"No helper listens at/);
    assert.equal(await server.metric("offload_up"), 0);
    const made = await relay.network.allocated(server, 4, 4, 0);
    await relay.isRelayed(server, made);
    const first = await relay.startHelper();
    await relay.isOn(server);
    assert.equal(await server.metric("offload_up"), 1);
    await relay.goesDown(server, 2, made);
    await relay.isForwarded(server, made);
    const stream = new Stream(made.one);
    await stream.more(100);
    process.kill(first.pid, "SIGKILL");
    await relay.isOff(server, 2);
    assert.match(server.output(), /"code":"offload-helper-gone".*until there is a helper again\./);
    assert.equal(await server.metric("offload_up"), 0);
    await stream.more(100);
    assert.equal(await relay.network.attached(), 0);
    // Longer than until it is looked for again.
    await delay(2_500);
    assert.deepEqual([server.told("offload-is-off"), server.told("offload-failed")], [2, 0]);
    await relay.startHelper();
    await relay.isOn(server, 2);
    await stream.more(100);
    const { sent, heard } = await stream.end();
    // 20 each by `isRelayed` and `isForwarded`; one each way may have been in the program when that was taken away.
    assert.ok(heard >= 41 + sent - 2, `${sent} sent, ${heard - 41} heard`);
    await until("the flows to be in the kernel", async () => (await relay.flowsOf(server)) === 2, slow);
    await relay.isForwarded(server, made);
    await relay.hasCounted(server, 61 + sent);
  });

  test("a helper that hangs is as good as gone, until it goes on", async () => {
    const helper = await relay.startHelper();
    const server = await relay.startDaemon();
    await relay.isOn(server);
    const made = await relay.allocated(server, 4, 4);
    const stream = new Stream(made.one);
    await stream.more(50);
    process.kill(helper.pid, "SIGSTOP");
    try {
      await relay.isOff(server);
      await stream.more(50);
      const { sent, heard } = await stream.end();
      assert.equal(heard, 1 + sent, "nothing was lost");
      assert.equal(await relay.flowsOf(server), 0);
      await relay.isRelayed(server, made);
    } finally {
      process.kill(helper.pid, "SIGCONT");
    }
    await relay.isOn(server, 2);
    await relay.goesDown(server, 2, made);
    await relay.isForwarded(server, made);
    assert.equal(await relay.network.attached(), 2);
  });

  test("a daemon that is killed leaves nothing attached, and the helper serves the next", async () => {
    const helper = await relay.startHelper();
    const server = await relay.startDaemon();
    await relay.isOn(server);
    const { stop } = await relay.allocated(server, 4, 4);
    assert.equal(await relay.network.attached(), 2);
    process.kill(server.pid, "SIGKILL");
    await until("the program to be gone", async () => (await relay.network.attached()) === 0, slow);
    await Promise.all([server.stop(), stop()]);
    const next = await relay.startDaemon();
    await relay.isOn(next);
    await relay.isForwarded(next, await relay.allocated(next, 6, 4));
    assert.equal(helper.ending(), undefined);
    assert.equal(helper.output(), `postern helper: listens at ${relay.path} for the user ${owner}\n`);
  });

  test("a helper that root has started by hand keeps two capabilities, and nothing else of root's", async () => {
    const helper = await relay.startHelperAsRoot();
    const server = await relay.startDaemon();
    await relay.isOn(server);
    const text = await readFile(`/proc/${helper.pid}/status`, "utf8");
    const said = (name: string) => new RegExp(`^${name}:[ \\t]*(\\S*)`, "m").exec(text)?.[1];
    const sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(said);
    // CAP_NET_ADMIN is 12, CAP_BPF 39.
    assert.deepEqual([...new Set(sets)], ["0000008000001000"]);
    assert.deepEqual(["Uid", "Gid", "Groups", "NoNewPrivs"].map(said), ["65534", "65534", "", "1"]);
    await relay.isForwarded(server, await relay.allocated(server, 4, 4));
    await helper.stop("SIGTERM");
    await relay.isOff(server);
    await relay.startHelperAsRoot();
    await relay.isOn(server, 2);
  });

  test("a helper that may use only some interfaces: between those the kernel forwards, and user space relays the rest", async () => {
    for (const [names, flows] of [
      ["rc,rp", 2],
      ["rc", 1],
    ] as const) {
      const helper = await relay.startHelperAsRoot("--interfaces", names);
      const server = await relay.startDaemon();
      await relay.isOn(server);
      const made = await relay.network.allocated(server, 4, 4, 0);
      await relay.goesDown(server, flows, made);
      if (flows === 2) await relay.isForwarded(server, made);
      else {
        await until("it to be said", () => server.output().includes("(--interfaces rc)"), slow);
        assert.equal(await relay.network.attached(), 1);
        const stream = new Stream(made.one);
        await stream.more(20);
        const { sent, heard } = await stream.end();
        assert.equal(heard, sent + 1);
      }
      await Promise.all([server.stop(), made.stop()]);
      await helper.stop("SIGTERM");
    }
  });

  test("another user is not served, not even root", async () => {
    const helper = await relay.startHelper();
    const server = await relay.startDaemon();
    await relay.isOn(server);
    assert.equal(await refusalOf(new Helper(relay.path)), "offload-helper-gone");
    await until("it to be said", () => helper.output().includes("user 0 is not the one who is served"), slow);
    const script = join(import.meta.dirname, "../node/datapath/ebpf/offload.ts");
    const other = await startChild([...as(stranger), process.execPath, script, relay.path]);
    await other.ended();
    await until("that, too", () => helper.output().includes(`user ${stranger} is not`), slow);
    assert.deepEqual([server.told("offload-is-on"), server.told("offload-is-off")], [1, 0]);
  });
});
