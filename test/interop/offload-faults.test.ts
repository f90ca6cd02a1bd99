/**
 * What goes wrong while the kernel forwards, on real links and under load: the daemon killed, ended and stopped, the program
 * taken off by force, interfaces, routes and neighbours that go. Whatever it is, packets go on where there is a way at all,
 * every one is counted once, and the log says once what it was.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Namespace } from "../../src/lab/namespace.ts";
import { until } from "../support/until.ts";
import type { Endpoint } from "./endpoints.ts";
import { at, channel, OffloadNetwork, requireOffload, type Served } from "./offload-network.ts";

const script = fileURLToPath(new URL("attached-programs.ts", import.meta.url));
const [toPeers, toClients] = ["relayed_packets_to_peers_total", "relayed_packets_to_clients_total"] as const;

/** A client that says so many words fifty times a second, to a peer that sends back what it hears. */
class Load {
  readonly #one: Endpoint;
  readonly #words: number;
  readonly #done: Promise<void>;
  #sent = 0;
  #goesOn = true;

  constructor(one: Endpoint, words = 5) {
    this.#one = one;
    this.#words = words;
    this.#done = this.#speak();
  }

  get sent(): number {
    return this.#sent;
  }

  async heard(): Promise<string[]> {
    return [...((await this.#one.ask({ do: "heard" })).heard ?? [])];
  }

  /** Waits until what is sent from now on comes back. */
  async goesOn(): Promise<void> {
    const from = this.#sent;
    await until("an echo", async () => (await this.heard()).some((text) => Number.parseInt(text, 10) >= from));
  }

  /** How much was sent, and which of it came back, when nothing more comes. */
  async end(): Promise<[sent: number, came: number]> {
    this.#goesOn = false;
    await this.#done;
    let count = -1;
    await until("no more echoes", async () => {
      const before = count;
      count = (await this.heard()).length;
      if (before === count) return true;
      await delay(500);
      return false;
    });
    const heard = (await this.heard()).map((text) => Number.parseInt(text, 10));
    const came = new Set(heard);
    assert.equal(came.size, heard.length, "nothing came twice");
    return [this.#sent, came.size];
  }

  async #speak(): Promise<void> {
    while (this.#goesOn) {
      const texts = Array.from({ length: this.#words }, () => `${this.#sent++} words`);
      await this.#one.ask({ do: "relay", to: channel, texts });
      await delay(20);
    }
  }
}

describe("while the kernel forwards", { skip: requireOffload() }, () => {
  let network: OffloadNetwork;
  let server: Served;

  const start = async () => {
    server = await network.start({ settings: { "drain-deadline": "1s" } });
    await until("the program to be loaded", () => server.told("offload-is-on"));
  };
  before(async () => {
    network = await OffloadNetwork.open();
    await start();
  });
  after(() => network?.close());

  const flows = () => server.metric("offloaded_flows");
  const indexOf = async (place: Namespace, name: string) =>
    (JSON.parse(await place.run(["ip", "-j", "link", "show", name])) as [{ ifindex: number }])[0].ifindex;
  const takeOff = async (name: string) => {
    const command = [process.execPath, script, `${await indexOf(network.relay, name)}`, "detach"];
    assert.equal(await network.relay.run(command), "0");
  };
  const warnings = () =>
    server
      .output()
      .split("\n")
      .filter((line) => /"level":(40|"warn")/.test(line));

  /**
   * A load through `fault`, which returns when all is well again. Every packet is counted once, however it went, and no more
   * are lost than `mayLose`; returns how many.
   */
  async function through(fault: (load: Load) => Promise<unknown>, mayLose = 0, words?: number): Promise<number> {
    const before = await server.metrics(toPeers, toClients);
    const { one, end } = await network.allocated(server, 4, 4);
    const load = new Load(one, words);
    let [sent, came] = [0, 0];
    try {
      await load.goesOn();
      await fault(load);
      await load.goesOn();
    } finally {
      [sent, came] = await load.end();
      await end();
    }
    const lost = sent - came;
    assert.ok(lost <= mayLose, `${lost} of ${sent} were lost`);
    const [there, back] = (await server.metrics(toPeers, toClients)).map((now, i) => now - before[i]!) as [
      number,
      number,
    ];
    assert.deepEqual([there >= came && there <= sent, back], [true, came], `${there} of ${sent} were counted there`);
    return lost;
  }

  test("a program that is taken off by force is said so once, nothing is lost, and it is there for the next flows", async () => {
    const told = warnings().length;
    const kept = await network.allocated(server, 6, 6);
    await through(async (load) => {
      await takeOff("rc");
      await load.goesOn();
      await until("the log to tell", () => warnings().length > told);
      await until("flows to be taken back", async () => (await flows()) < 4);
    });
    await until("the idle one to be taken back too", async () => (await flows()) === 1);
    await through(async (load) => {
      assert.equal(await network.attached(), 2);
      assert.equal(await flows(), 3);
      const seen = await server.metric("udp_packets_in_total");
      await load.goesOn();
      assert.equal(await server.metric("udp_packets_in_total"), seen, "the kernel forwards");
    });
    assert.equal(warnings().length, told + 1, warnings().join("\n"));
    assert.match(warnings().at(-1)!, /taken off/);
    // Without a packet that would show it.
    await takeOff("rp");
    await until("its flows to be taken back", async () => (await flows()) === 0);
    await kept.end();
  });

  test("a neighbour that is forgotten is found again, and nothing is lost", async () => {
    const told = warnings().length;
    await through(async (load) => {
      for (let i = 0; i < 10; i++) {
        await network.relay.run(["ip", "neigh", "flush", "dev", "rp"]);
        await load.goesOn();
      }
    });
    assert.equal(warnings().length, told);
  });

  test("a way that moves to another interface is followed, and nothing is lost", async () => {
    await network.relay.ip(`link add rp2 type veth peer name p2 netns ${network.peer.pid}`);
    await network.relay.ip("addr add 10.83.0.1/24 dev rp2", "link set rp2 up");
    await network.peer.ip("addr add 10.83.0.2/24 dev p2", "link set p2 up");
    await network.peer.set("net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.p2.rp_filter=0");
    await network.relay.set("net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.rp2.rp_filter=0");
    await through(async (load) => {
      await network.relay.ip(`route add ${at.peer[4]}/32 via 10.83.0.2 dev rp2 src ${at.toPeer[4]}`);
      await network.peer.ip(`route add ${at.toPeer[4]}/32 via 10.83.0.1 dev p2 src ${at.peer[4]}`);
      await until("the program to be there", async () => {
        const index = await indexOf(network.relay, "rp2");
        return (await network.relay.run([process.execPath, script, `${index}`])) === "1";
      });
      const seen = await server.metric("udp_packets_in_total");
      await load.goesOn();
      assert.equal(await server.metric("udp_packets_in_total"), seen, "the kernel forwards on the new way");
    });
    await network.relay.ip("link del rp2");
  });

  test("an interface that is deleted and made again carries flows again", async (t) => {
    const lost = await through(async (load) => {
      await network.relay.ip("link del rp");
      await until("the flows to be taken back", async () => (await flows()) === 0);
      await network.relay.ip(`link add rp type veth peer name p0 netns ${network.peer.pid}`);
      for (const [place, name, own] of [
        [network.relay, "rp", at.toPeer],
        [network.peer, "p0", at.peer],
      ] as const) {
        await place.ip(`addr add ${own[4]}/24 dev ${name}`, `addr add ${own[6]}/64 dev ${name} nodad`);
        await place.ip(`link set ${name} up`);
      }
      await load.goesOn();
      await until("the flows to be there again", async () => (await flows()) === 2);
    }, Number.POSITIVE_INFINITY);
    t.diagnostic(`${lost} packets were lost, while there was no way`);
  });

  test("a daemon that is stopped for ten seconds is waited for in its sockets, and the kernel goes on with it", async (t) => {
    const stall = async (load: Load) => {
      process.kill(server.pid, "SIGSTOP");
      try {
        await delay(10_000);
      } finally {
        process.kill(server.pid, "SIGCONT");
      }
      await load.goesOn();
      await until("the flows to be there", async () => (await flows()) === 2);
    };
    // Much more would not have room in the sockets until then.
    t.diagnostic(`${await through(stall, 0, 1)} packets were lost`);
  });

  test("SIGTERM under load ends it within a second of its drain", async () => {
    const { one, stop } = await network.allocated(server, 4, 4);
    const load = new Load(one);
    await load.goesOn();
    const begun = performance.now();
    await server.stop("SIGTERM");
    const seconds = (performance.now() - begun) / 1_000;
    assert.ok(seconds < 1 + 1 + 1, `${seconds} s`);
    assert.equal(await network.attached(), 0);
    await load.end();
    await stop();
    await start();
  });

  test("SIGKILL under load leaves no program and no port", async () => {
    const { one, stop } = await network.allocated(server, 4, 4);
    const load = new Load(one);
    await load.goesOn();
    process.kill(server.pid, "SIGKILL");
    await until("the program to be gone", async () => (await network.attached()) === 0);
    await load.end();
    await stop();
    assert.equal((await network.relay.run(["ss", "-Hlntu"])).trim(), "");
    await start();
    await through(async () => {});
  });
});
