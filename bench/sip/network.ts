/**
 * Two namespaces with a virtual link between: the servers have three addresses, and every phone has one of 10.80.0.0/16,
 * which the kernel of the generator's side takes for its own.
 */
import { runChild } from "../../test/support/child.ts";

export const serverAddresses = { postern: "10.77.0.1", kamailio: "10.77.0.3" } as const;
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
      `-n ${s} link add wire type veth peer name wire netns ${g}`,
      ...[s, g].flatMap((name) => [`-n ${name} link set lo up`, `-n ${name} link set wire up`]),
      ...Object.values(serverAddresses).map((address) => `-n ${s} addr add ${address}/24 dev wire`),
      `-n ${g} addr add ${generatorAddress}/24 dev wire`,
      `-n ${g} route add local 10.80.0.0/16 dev lo`,
      `-n ${s} route add 10.80.0.0/16 via ${generatorAddress}`,
    ];
    for (const command of commands) await runChild(["ip", ...command.split(" ")]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const side of ["s", "g"]) await runChild(["ip", "netns", "del", `${this.#name}-${side}`]).catch(() => {});
  }
}
