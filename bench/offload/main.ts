/**
 * `npm run bench -- offload`: Postern with and without the kernel forwarding for it, beside coturn, over virtual links. What is
 * forwarded in the kernel is charged to no process, so the work of receiving is done by threads of the kernel here (threaded
 * NAPI), for all servers: CPU a packet is theirs and the server's. They and the server have one core, the generator and what
 * receives for it the other.
 */
import { readdirSync, readFileSync } from "node:fs";
import { Namespace } from "../../src/lab/namespace.ts";
import { through } from "../../test/interop/networks.ts";
import { runChild } from "../../test/support/child.ts";
import { startCoturn } from "../../test/support/coturn.ts";
import { peerPath } from "../../test/support/peers.ts";
import { startPostern } from "../../test/support/postern.ts";
import type { RelayOptions, RelayUnderTest } from "../../test/support/relay-under-test.ts";
import { buildGenerators, generate, serverCore } from "../generator.ts";
import type { RelayRun } from "../relaying.ts";
import { spread } from "../statistics.ts";

const user = { name: "bench", password: "a long enough password" };
const at = { client: "10.81.0.2", toClient: "10.81.0.1", toPeer: "10.82.0.1", peer: "10.82.0.2" } as const;
const ports = { coturn: 3_480, mmsg: 3_481, offload: 3_482 } as const;
type Name = keyof typeof ports;
const names = Object.keys(ports) as Name[];

interface Links {
  readonly client: Namespace;
  readonly relay: Namespace;
  readonly peer: Namespace;
  /** Threads that receive for the relay. */
  readonly threads: readonly string[];
}

function napiThreads(device: string): string[] {
  const name = (pid: string): string => {
    try {
      return readFileSync(`/proc/${pid}/comm`, "utf8");
    } catch {
      return "";
    }
  };
  return readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && name(pid).startsWith(`napi/${device}-`));
}

async function build(): Promise<Links> {
  const [client, relay, peer] = [
    await Namespace.open("client"),
    await Namespace.open("relay"),
    await Namespace.open("peer"),
  ];
  await relay.ip(
    `link add rc type veth peer name c0 netns ${client.pid}`,
    `link add rp type veth peer name p0 netns ${peer.pid}`,
    `addr add ${at.toClient}/24 dev rc`,
    `addr add ${at.toPeer}/24 dev rp`,
    "link set rc up",
    "link set rp up",
  );
  await client.ip(`addr add ${at.client}/24 dev c0`, "link set c0 up");
  await peer.ip(`addr add ${at.peer}/24 dev p0`, "link set p0 up", `route add ${at.toClient}/32 via ${at.toPeer}`);
  const threads: string[] = [];
  for (const [place, device] of [
    [client, "c0"],
    [relay, "rc"],
    [relay, "rp"],
    [peer, "p0"],
  ] as const) {
    // Without both, a packet is received by whoever sends it.
    await place.run([peerPath("ethtool")!, "-K", device, "gro", "on", "tso", "off"]);
    // The second time it is there already.
    await place.run(["sh", "-c", `mount -t sysfs sysfs /sys; echo 1 > /sys/class/net/${device}/threaded`]);
    const isRelay = place === relay;
    for (const thread of napiThreads(device)) {
      await runChild(["taskset", "-pc", isRelay ? "0" : "1", thread]);
      if (isRelay) threads.push(thread);
    }
  }
  return { client, relay, peer, threads };
}

function start(name: Name, { relay }: Links): Promise<RelayUnderTest> {
  const options: RelayOptions = {
    addresses: [at.toClient],
    user,
    relayPorts: { low: 20_000, high: 32_767 },
    allowPeers: ["10.82.0.0/24"],
    highQuotas: true,
    channelRange: "rfc5766",
    port: ports[name],
    through: [...through(relay), ...serverCore],
  };
  if (name === "coturn") return startCoturn(options);
  const more = { offload: name === "offload" ? "auto" : "off", "allocations-per-source": 100_000 };
  return startPostern({ ...options, postern: { datapath: "mmsg", ...more } });
}

const cells = ["to-peer", "to-client"].flatMap((direction) =>
  [1, 100].flatMap((allocations) => [0, 20_000].map((rate) => ({ direction, allocations, rate }))),
);

const median = (values: readonly number[]): number => spread(values).median;

/** As root. */
export async function benchOffload({ rounds = "5", seconds = "1.5" }): Promise<void> {
  await buildGenerators(["relaygen"]);
  const links = await build();
  const servers: Partial<Record<Name, RelayUnderTest>> = {};
  const run = (name: Name, cell: (typeof cells)[number]) =>
    generate<RelayRun>(
      "relaygen",
      {
        ...{
          server: at.toClient,
          port: ports[name],
          peer: at.peer,
          pid: servers[name]!.pid,
          seconds,
          size: 172,
          ...cell,
        },
        ...{ user: user.name, password: user.password },
        "peer-network": `/proc/${links.peer.pid}/ns/net`,
        threads: links.threads.join(),
      },
      links.client.enter,
    );
  try {
    for (const name of names) servers[name] = await start(name, links);
    for (const name of names) await run(name, cells[0]!);
    for (const cell of cells) {
      const runs: Record<Name, RelayRun[]> = { coturn: [], mmsg: [], offload: [] };
      for (let round = 0; round < Number(rounds); round++) {
        for (const name of names) runs[name].push(await run(name, cell));
      }
      const all = names.map((name) => {
        const of = (key: keyof RelayRun) => median(runs[name].map((one) => one[key]));
        const [cpu, rate, p50] = [of("cpuMicroseconds"), of("packetsPerSecond"), of("p50Microseconds")];
        const times = median(runs.coturn.map(({ cpuMicroseconds }) => cpuMicroseconds)) / cpu;
        const details = `${Math.round(rate / 1_000)}k/s, p50 ${Math.round(p50)} µs, lost ${of("lossPercent").toFixed(2)} %`;
        return `${name} ${cpu.toFixed(2)} µs (× ${times.toFixed(2)}, ${details})`;
      });
      const what = cell.rate === 0 ? "saturated" : `${cell.rate} packets/s`;
      console.log(`${cell.direction}, ${cell.allocations} allocations, ${what}: ${all.join("; ")}`);
    }
  } finally {
    for (const server of Object.values(servers)) await server.stop();
    for (const place of [links.client, links.relay, links.peer]) await place.close();
  }
}
