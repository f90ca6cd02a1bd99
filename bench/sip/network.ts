/**
 * Two namespaces with a virtual link between: each server has an address, and every phone has one of 10.80.0.0/16, which
 * the kernel of the generator's side takes for its own. What comes to the servers is received by a thread of the kernel
 * (threaded NAPI), whose work is theirs: what is forwarded in the kernel would be charged to nobody else.
 */
import { readdirSync, readFileSync } from "node:fs";
import { runChild } from "../../test/support/child.ts";
import { peerPath } from "../../test/support/peers.ts";

export const serverAddresses = { postern: "10.77.0.1", kamailio: "10.77.0.3", ebpf: "10.77.0.4" } as const;
/** By which their threads are known, on the whole machine. */
const device = { server: `bs${process.pid}`, generator: `bg${process.pid}` } as const;
const generatorAddress = "10.77.0.2";

export class BenchNetwork implements AsyncDisposable {
  readonly #name = `postern-bench-${process.pid}`;

  static async build(): Promise<BenchNetwork> {
    const network = new BenchNetwork();
    try {
      await network.#build();
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
    return network;
  }

  /** Threads of the kernel that receive for the servers. */
  readonly receivers: number[] = [];

  get server(): string[] {
    return ["ip", "netns", "exec", `${this.#name}-s`];
  }

  get generator(): string[] {
    return ["ip", "netns", "exec", `${this.#name}-g`];
  }

  /** Datagrams that the servers' side has dropped so far because a socket's buffer was full. */
  async drops(): Promise<number> {
    const lines = (await runChild([...this.server, "cat", "/proc/net/snmp"])).split("\n");
    const [names, values] = lines.filter((line) => line.startsWith("Udp:")).map((line) => line.split(" "));
    return Number(values?.[names?.indexOf("RcvbufErrors") ?? -1]);
  }

  async #build(): Promise<void> {
    const [s, g] = [`${this.#name}-s`, `${this.#name}-g`];
    const commands = [
      `netns add ${s}`,
      `netns add ${g}`,
      `-n ${s} link add ${device.server} type veth peer name ${device.generator} netns ${g}`,
      ...[s, g].map((name) => `-n ${name} link set lo up`),
      `-n ${s} link set ${device.server} up`,
      `-n ${g} link set ${device.generator} up`,
      ...Object.values(serverAddresses).map((address) => `-n ${s} addr add ${address}/24 dev ${device.server}`),
      `-n ${g} addr add ${generatorAddress}/24 dev ${device.generator}`,
      `-n ${g} route add local 10.80.0.0/16 dev lo`,
      `-n ${s} route add 10.80.0.0/16 via ${generatorAddress}`,
    ];
    for (const command of commands) await runChild(["ip", ...command.split(" ")]);
    for (const [side, name, core] of [
      [this.server, device.server, "0"],
      [this.generator, device.generator, "1"],
    ] as const) {
      // Without both, a packet is received by whoever sends it.
      await runChild([...side, peerPath("ethtool")!, "-K", name, "gro", "on", "tso", "off"]);
      await runChild([...side, "sh", "-c", `echo 1 > /sys/class/net/${name}/threaded`]);
      for (const thread of receiversOf(name)) {
        await runChild(["taskset", "-pc", core, String(thread)]);
        if (name === device.server) this.receivers.push(thread);
        // Else the generator, which takes all of its core, loses what came back before it has looked.
        else await runChild(["chrt", "--fifo", "--pid", "1", String(thread)]);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const side of ["s", "g"]) await runChild(["ip", "netns", "del", `${this.#name}-${side}`]).catch(() => {});
  }
}

function receiversOf(name: string): number[] {
  const isReceiver = (pid: string): boolean => {
    try {
      return readFileSync(`/proc/${pid}/comm`, "utf8").startsWith(`napi/${name}-`.slice(0, 15));
    } catch {
      // It has ended meanwhile.
      return false;
    }
  };
  return readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid) && isReceiver(pid))
    .map(Number);
}
