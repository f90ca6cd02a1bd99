/**
 * The privilege that offload takes, held by a helper: the daemon relays as a user who may do nothing, and the kernel forwards
 * all the same. Either of them is killed while packets flow, and the other goes on.
 */
import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Helper } from "../../src/node/datapath/ebpf/helper-client.ts";
import { type Child, startChild } from "../support/child.ts";
import { requirePeer } from "../support/peers.ts";
import { until } from "../support/until.ts";
import type { Endpoint } from "./endpoints.ts";
import { through } from "./networks.ts";
import {
  type Allocated,
  channel,
  type Family,
  hasHeard,
  OffloadNetwork,
  requireOffload,
  type Served,
} from "./offload-network.ts";

const skip = requireOffload() || requirePeer("setpriv", "tc");

/** Nobody has these. */
const owner = 64_001;
const stranger = 64_002;
const holder = 64_003;

/** As a service of systemd's is: another user, with some capabilities or none, and no way to more. */
function as(uid: number, ...capabilities: readonly string[]): string[] {
  const set = ["-all", ...capabilities.map((one) => `+${one}`)].join(",");
  const sets = [`--inh-caps=${set}`, `--ambient-caps=${set}`, `--bounding-set=${set}`];
  return ["setpriv", "--reuid", `${uid}`, "--regid", `${uid}`, "--clear-groups", "--no-new-privs", ...sets];
}

const postern = [process.execPath, join(import.meta.dirname, "../../src/cli/main.ts")];
const slow = { within: 60_000 };

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

/** One packet after the other, each of which the peer sends back. */
class Stream {
  readonly #one: Endpoint;
  #sent = 0;
  #isEnding = false;
  readonly #running: Promise<void>;

  constructor(one: Endpoint) {
    this.#one = one;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#isEnding) {
      await this.#one.ask({ do: "relay", to: channel, texts: [`${this.#sent++}`] });
      await delay(2);
    }
  }

  get sent(): number {
    return this.#sent;
  }

  /** So many more have gone. */
  async more(count: number): Promise<void> {
    const target = this.#sent + count;
    await until("the stream to go on", () => this.#sent >= target, slow);
  }

  /** How many were sent, and how many came back. */
  async end(): Promise<{ sent: number; heard: number }> {
    this.#isEnding = true;
    await this.#running;
    await hasHeard(this.#one, this.#sent);
    return { sent: this.#sent, heard: (await this.#one.ask({ do: "heard" })).heard?.length ?? 0 };
  }
}

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

describe("offload without a privilege", { skip, timeout: 600_000 }, () => {
  let network: OffloadNetwork;
  let directory: string;
  let path: string;
  const helpers: Child[] = [];

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "postern-helper-"));
    await chmod(directory, 0o777);
  });
  after(() => rm(directory, { recursive: true, force: true }));
  beforeEach(async () => {
    path = join(directory, `socket-${Math.random().toString(36).slice(2)}`);
    network = await OffloadNetwork.open();
  });
  afterEach(async () => {
    await network.close();
    for (const helper of helpers.splice(0)) await helper.stop("SIGKILL");
  });

  async function startHelper(...more: readonly string[]): Promise<Child> {
    const args = ["helper", "--user", `${owner}`, "--listen", path, ...more];
    const helper = await startChild([
      ...through(network.relay),
      ...as(holder, "bpf", "net_admin"),
      ...postern,
      ...args,
    ]);
    helpers.push(helper);
    return helper;
  }

  async function startDaemon(): Promise<Served> {
    const settings = { "offload-helper": path };
    return network.start({ owner, before: as(owner), settings });
  }

  const isOn = (server: Served, times = 1) =>
    until("offload to be on", () => server.told("offload-is-on") === times, slow);
  const isOff = (server: Served, times = 1) =>
    until("offload to be off", () => server.told("offload-is-off") === times, slow);
  const flowsOf = (server: Served) => server.metric("offloaded_flows");

  /** Both ways in the kernel, once a packet has shown that this host leaves it alone. */
  async function allocated(server: Served, from: Family, to: Family): Promise<Allocated> {
    const before = await flowsOf(server);
    const made = await network.allocated(server, from, to, 0);
    await made.one.ask({ do: "relay", to: channel, texts: ["shown"] });
    await until("the flows to be in the kernel", async () => (await flowsOf(server)) === before + 2, slow);
    return made;
  }

  /** One more packet goes through user space, and shows it of a program that has not seen any yet. */
  async function goesDown(server: Served, flows: number, ...made: readonly Allocated[]): Promise<void> {
    for (const { one } of made) await one.ask({ do: "relay", to: channel, texts: ["shown again"] });
    await until("the flows to be in the kernel", async () => (await flowsOf(server)) === flows, slow);
  }

  /** Packets come back and user space sees none of them. */
  async function isForwarded(server: Served, { one }: Allocated): Promise<void> {
    const before = await server.metric("udp_packets_in_total");
    const heard = (await one.ask({ do: "heard" })).heard?.length ?? 0;
    await one.ask({ do: "relay", to: channel, texts: Array.from({ length: 20 }, (_, i) => `forwarded ${i}`) });
    await until("them to come back", () => hasHeard(one, heard + 20));
    assert.equal(await server.metric("udp_packets_in_total"), before);
  }

  /** Packets come back and user space has seen each, both ways. */
  async function isRelayed(server: Served, { one }: Allocated): Promise<void> {
    const before = await server.metric("udp_packets_in_total");
    const heard = (await one.ask({ do: "heard" })).heard?.length ?? 0;
    await one.ask({ do: "relay", to: channel, texts: Array.from({ length: 20 }, (_, i) => `relayed ${i}`) });
    await until("them to come back", () => hasHeard(one, heard + 20));
    assert.ok((await server.metric("udp_packets_in_total")) >= before + 40);
  }

  /** What was counted is what was sent, wherever it was forwarded. */
  async function hasCounted(server: Served, sent: number): Promise<void> {
    const name = "relayed_packets_to_peers_total";
    await until(`${sent} to be counted`, async () => (await server.metric(name)) === sent, slow);
  }

  test("postern helper becomes a daemon that may do nothing, beside a helper that may do two things", async () => {
    const server = await network.start({ owner, behind: ["helper", "--user", `${owner}`, "--"] });
    await isOn(server);
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
    const made = await allocated(server, 4, 4);
    await isForwarded(server, made);
    const stream = new Stream(made.one);
    await stream.more(100);
    process.kill(helper, "SIGKILL");
    await isOff(server);
    await stream.more(100);
    const { sent, heard } = await stream.end();
    assert.ok(heard >= 21 + sent - 2, `${sent} sent, ${heard - 21} heard`);
    assert.deepEqual([await flowsOf(server), await network.attached()], [0, 0]);
    await hasCounted(server, 21 + sent);
    await isRelayed(server, made);
    assert.deepEqual([server.told("offload-is-on"), server.told("offload-is-off")], [1, 1]);
  });

  test("the helper that was started with a daemon ends with it, however that ends", async () => {
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const server = await network.start({ owner, behind: ["helper", "--user", `${owner}`, "--"] });
      await isOn(server);
      const made = [await allocated(server, 4, 4), await allocated(server, 6, 6)] as const;
      const helper = await childOf(server.pid);
      assert.equal(await network.attached(), 2);
      // Of a service, systemd asks every process to end; the helper waits for the daemon's last word.
      process.kill(helper, "SIGTERM");
      await isForwarded(server, made[0]);
      process.kill(server.pid, signal);
      await until("the helper to end", async () => (await isThere(helper)) === "", slow);
      assert.equal(await network.attached(), 0);
      await server.stop();
      for (const { stop } of made) await stop();
    }
  });

  test("each shard has a program of its own from the one helper that was started with the daemon", async () => {
    const settings = { shards: 2 };
    const server = await network.start({ owner, behind: ["helper", "--user", `${owner}`, "--"], settings });
    await isOn(server, 2);
    const made = [await allocated(server, 4, 4), await allocated(server, 6, 6)];
    for (const one of made) await isForwarded(server, one);
    process.kill(await childOf(server.pid), "SIGKILL");
    await isOff(server, 2);
    assert.equal(await network.attached(), 0);
    for (const one of made) await isRelayed(server, one);
  });

  test("a helper that is not there, comes, is killed under load and comes again", async () => {
    const server = await startDaemon();
    await isOff(server);
    assert.match(server.output(), /offload-helper-unreachable/);
    const made = await network.allocated(server, 4, 4, 0);
    await isRelayed(server, made);
    const first = await startHelper();
    await isOn(server);
    await goesDown(server, 2, made);
    await isForwarded(server, made);
    const stream = new Stream(made.one);
    await stream.more(100);
    process.kill(first.pid, "SIGKILL");
    await isOff(server, 2);
    assert.match(server.output(), /offload-helper-gone/);
    await stream.more(100);
    assert.equal(await network.attached(), 0);
    // Longer than until it is looked for again.
    await delay(2_500);
    assert.equal(server.told("offload-is-off"), 2);
    await startHelper();
    await isOn(server, 2);
    await stream.more(100);
    const { sent, heard } = await stream.end();
    // 20 each by `isRelayed` and `isForwarded`; one each way may have been in the program when that was taken away.
    assert.ok(heard >= 41 + sent - 2, `${sent} sent, ${heard - 41} heard`);
    await until("the flows to be in the kernel", async () => (await flowsOf(server)) === 2, slow);
    await isForwarded(server, made);
    await hasCounted(server, 61 + sent);
  });

  test("a helper that hangs is as good as gone, until it goes on", async () => {
    const helper = await startHelper();
    const server = await startDaemon();
    await isOn(server);
    const made = await allocated(server, 4, 4);
    const stream = new Stream(made.one);
    await stream.more(50);
    process.kill(helper.pid, "SIGSTOP");
    try {
      await isOff(server);
      await stream.more(50);
      const { sent, heard } = await stream.end();
      assert.equal(heard, 1 + sent, "nothing was lost");
      assert.equal(await flowsOf(server), 0);
      await isRelayed(server, made);
    } finally {
      process.kill(helper.pid, "SIGCONT");
    }
    await isOn(server, 2);
    await goesDown(server, 2, made);
    await isForwarded(server, made);
    assert.equal(await network.attached(), 2);
  });

  test("a daemon that is killed leaves nothing attached, and the helper serves the next", async () => {
    const helper = await startHelper();
    const server = await startDaemon();
    await isOn(server);
    const { stop } = await allocated(server, 4, 4);
    assert.equal(await network.attached(), 2);
    process.kill(server.pid, "SIGKILL");
    await until("the program to be gone", async () => (await network.attached()) === 0, slow);
    await Promise.all([server.stop(), stop()]);
    const next = await startDaemon();
    await isOn(next);
    await isForwarded(next, await allocated(next, 6, 4));
    assert.equal(helper.ending(), undefined);
    assert.equal(helper.output(), "");
  });

  test("another user is not served, not even root", async () => {
    const helper = await startHelper();
    const server = await startDaemon();
    await isOn(server);
    assert.equal(await refusalOf(new Helper(path)), "offload-helper-gone");
    await until("it to be said", () => helper.output().includes("user 0 is not the one who is served"), slow);
    const script = join(import.meta.dirname, "../node/datapath/ebpf/offload.ts");
    const other = await startChild([...as(stranger), process.execPath, script, path]);
    await other.ended();
    await until("that, too", () => helper.output().includes(`user ${stranger} is not`), slow);
    assert.deepEqual([server.told("offload-is-on"), server.told("offload-is-off")], [1, 0]);
  });

  describe("by filters, as before Linux 6.6", () => {
    const filters = async () => {
      const shown = await Promise.all(
        ["rc", "rp"].map((device) => network.relay.run(["tc", "filter", "show", "dev", device, "ingress"])),
      );
      return shown.join("").match(/postern-[0-9a-f]{8} direct-action/g)?.length ?? 0;
    };

    test("forwards, and goes on in user space when the helper is killed", async () => {
      const first = await startHelper("--attach", "clsact");
      const server = await startDaemon();
      await isOn(server);
      const [made, other] = [await allocated(server, 4, 4), await allocated(server, 6, 6)];
      await isForwarded(server, made);
      await isForwarded(server, other);
      assert.deepEqual([await filters(), await network.attached()], [2, 0]);
      process.kill(first.pid, "SIGKILL");
      await isOff(server);
      assert.equal(await filters(), 2, "nobody could remove them");
      await isRelayed(server, made);
      await startHelper("--attach", "clsact");
      await isOn(server, 2);
      await goesDown(server, 4, made, other);
      await isForwarded(server, made);
      assert.equal(await filters(), 2, "those that were left over are gone");
    });

    test("what both leave behind that are killed forwards no longer than its lease, and is cleared up", async () => {
      const helper = await startHelper("--attach", "clsact");
      const server = await startDaemon();
      await isOn(server);
      const { one } = await allocated(server, 4, 4);
      process.kill(helper.pid, "SIGSTOP");
      process.kill(server.pid, "SIGKILL");
      const killed = performance.now();
      process.kill(helper.pid, "SIGKILL");
      // One has shown the flow before.
      let [last, count] = [0, 1];
      for (;;) {
        const sent = performance.now();
        await one.ask({ do: "relay", to: channel, texts: [`${count++}`] });
        if (!(await hasHeard(one, count))) break;
        last = sent - killed;
      }
      assert.ok(count > 2, "the kernel went on at first");
      assert.ok(last < 3_000, `forwarded ${last} ms after both were killed`);
      assert.equal(await filters(), 2);
      await server.stop();
      await startHelper("--attach", "clsact");
      const next = await startDaemon();
      await isOn(next);
      assert.equal(await filters(), 0);
    });
  });
});
