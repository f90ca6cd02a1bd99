/**
 * Two home networks, each behind a NAT of the worst kind, and an internet between them, in network namespaces: real
 * kernels' packets, and nothing of the host's own network is touched.
 *
 *            client1 --- nat1 ---+          +--- nat2 --- client2
 *          10.0.1.2      203.0.113.11       203.0.113.12      10.0.2.2
 *                                +- internet -+
 *                  server 203.0.113.1     stranger 203.0.113.66
 *                         fd00:203::1              fd00:203::66
 *
 * A NAT maps every destination to another random port and lets in only what its own clients asked for. Counters stand
 * where a test needs to know what came: at each NAT's outside, and at each client, for what is not from the server.
 */
import { runChild } from "../support/child.ts";
import { peerPath } from "../support/peers.ts";

export const hosts = ["internet", "server", "stranger", "nat1", "nat2", "client1", "client2"] as const;
export type Host = (typeof hosts)[number];

export const addresses = {
  server: { ipv4: "203.0.113.1", ipv6: "fd00:203::1" },
  stranger: { ipv4: "203.0.113.66", ipv6: "fd00:203::66" },
  nat1: "203.0.113.11",
  nat2: "203.0.113.12",
  client1: "10.0.1.2",
  client2: "10.0.2.2",
} as const;

const ip = peerPath("ip") ?? "ip";
const nft = peerPath("nft") ?? "nft";
const serverAddress = addresses.server.ipv4;

function natRules(clientSubnet: string): string {
  return `
table ip nat {
  chain post { type nat hook postrouting priority 100; oifname "outside" masquerade fully-random; }
}
table ip filter {
  counter unasked { }
  chain pre { type filter hook prerouting priority -300; iifname "outside" ip saddr != ${serverAddress} meta l4proto udp counter name "unasked"; }
  chain forward {
    type filter hook forward priority 0; policy drop;
    iifname "inside" ip saddr ${clientSubnet} accept
    ct state established,related accept
  }
}`;
}

const clientRules = `
table ip filter {
  counter strangers { }
  chain input { type filter hook input priority 0; meta l4proto udp ip saddr != ${serverAddress} counter name "strangers"; }
}`;

export class Networks implements AsyncDisposable {
  readonly #prefix: string;

  private constructor(prefix: string) {
    this.#prefix = prefix;
  }

  static async make(): Promise<Networks> {
    const networks = new Networks(`postern-${process.pid}`);
    try {
      await networks.#build();
    } catch (error) {
      await networks[Symbol.asyncDispose]();
      throw error;
    }
    return networks;
  }

  /** What a command has to be started through to run on a host. */
  on(host: Host): string[] {
    return [ip, "netns", "exec", `${this.#prefix}-${host}`];
  }

  /** How many packets a named counter has seen. */
  async counted(host: Host, counter: "unasked" | "strangers"): Promise<number> {
    const output = await runChild([...this.on(host), nft, "list", "counter", "ip", "filter", counter]);
    return Number(/packets (\d+)/.exec(output)?.[1]);
  }

  /** The namespaces go, and with them every link, rule and address that was made in them. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of hosts) await runChild([ip, "netns", "del", `${this.#prefix}-${host}`]).catch(() => {});
  }

  async #build(): Promise<void> {
    for (const host of hosts) {
      await runChild([ip, "netns", "add", `${this.#prefix}-${host}`]);
      await this.#ip(host, "link set lo up");
    }
    await this.#ip("internet", "link add bridge type bridge");
    await this.#ip("internet", "link set bridge up");
    for (const host of ["server", "stranger"] as const) {
      await this.#plug(host, `${addresses[host].ipv4}/24`);
      await this.#ip(host, `-6 addr add ${addresses[host].ipv6}/64 dev outside nodad`);
    }
    for (const i of [1, 2] as const) {
      const [nat, client, subnet] = [`nat${i}` as const, `client${i}` as const, `10.0.${i}.0/24`];
      await this.#plug(nat, `${addresses[nat]}/24`);
      await this.#ip(nat, `link add inside type veth peer name outside netns ${this.#prefix}-${client}`);
      await this.#ip(nat, `addr add 10.0.${i}.1/24 dev inside`);
      await this.#ip(nat, "link set inside up");
      await this.#ip(client, `addr add ${addresses[client]}/24 dev outside`);
      await this.#ip(client, "link set outside up");
      await this.#ip(client, `route add default via 10.0.${i}.1`);
      await runChild([...this.on(nat), "/bin/sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
      await this.#nft(nat, natRules(subnet));
      await this.#nft(client, clientRules);
    }
  }

  /** Connects a host to the internet, by a link that it knows as `outside`. */
  async #plug(host: Host, address: string): Promise<void> {
    await this.#ip("internet", `link add ${host} type veth peer name outside netns ${this.#prefix}-${host}`);
    await this.#ip("internet", `link set ${host} master bridge`);
    await this.#ip("internet", `link set ${host} up`);
    await this.#ip(host, `addr add ${address} dev outside`);
    await this.#ip(host, "link set outside up");
  }

  async #ip(host: Host, command: string): Promise<void> {
    await runChild([ip, "-n", `${this.#prefix}-${host}`, ...command.split(" ")]);
  }

  async #nft(host: Host, rules: string): Promise<void> {
    await runChild([...this.on(host), nft, rules]);
  }
}
