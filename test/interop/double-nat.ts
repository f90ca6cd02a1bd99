/**
 * A home router behind a carrier's box, both of nftables, in network namespaces, and a server with two addresses. Each of
 * the two translates or only forwards, as a test wants.
 *
 *   client 10.0.0.2 --- 10.0.0.1 home .2 --- .1 carrier 203.0.113.10 --- 203.0.113.1 server (198.51.100.1, 198.51.100.2)
 */
import { runChild } from "../support/child.ts";

export const servers = ["198.51.100.1", "198.51.100.2"] as const;
export const servers6 = ["2001:db8:f::1", "2001:db8:f::2"] as const;
export const client = "10.0.0.2";
export const client6 = "2001:db8:1::2";

const hosts = ["server", "carrier", "home", "client"] as const;
export type Host = (typeof hosts)[number];

/** What each box does, besides forwarding. */
export const boxes = {
  router: "",
  nat: `table ip nat { chain post { type nat hook postrouting priority 100; oifname "out" masquerade; }; }`,
  /** IPv6 alone: what was not asked for stays outside. */
  firewall: `table ip6 filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    iifname "in" accept
    ct state established,related accept
  }
}`,
} as const;

/** A fault of the carrier's box. */
export const faults = {
  /** Whoever sends too much for the next link is not told. */
  silent: `table inet silent { chain output { type filter hook output priority 0; icmp type destination-unreachable drop; }; }`,
  /** In front of connection tracking, which puts fragments together. */
  fragments: `table ip fragments {
  chain pre { type filter hook prerouting priority -450; ip frag-off & 0x3fff != 0 drop; }
}`,
} as const;

export class DoubleNat implements AsyncDisposable {
  readonly #prefix: string;
  /** Of the network between the two boxes. */
  readonly #between: string;

  private constructor(between: string) {
    this.#prefix = `postern-double-${process.pid}`;
    this.#between = between;
  }

  /** `between`: the first three numbers of the network between the two boxes. */
  static async make(between: string): Promise<DoubleNat> {
    const network = new DoubleNat(between);
    try {
      await network.#build();
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
    return network;
  }

  /** What a command has to be started through to run on a host. */
  on(host: Host): string[] {
    return ["ip", "netns", "exec", `${this.#prefix}-${host}`];
  }

  /** Replaces all that the box did. Connections that it knew are forgotten. */
  async set(box: "home" | "carrier", ...rules: readonly string[]): Promise<void> {
    await runChild([...this.on(box), "nft", `flush ruleset; ${rules.join("\n")}`]);
  }

  /** Bytes of the longest packet between the carrier's box and the server. */
  async setMtu(bytes: number): Promise<void> {
    await this.#ip("carrier", `link set out mtu ${bytes}`);
    await this.#ip("server", `link set in mtu ${bytes}`);
  }

  /** Forgets what routers have told of the path, on both ends. */
  async forgetPaths(): Promise<void> {
    for (const host of ["client", "server"] as const) await this.#ip(host, "route flush cache");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of hosts) await runChild(["ip", "netns", "del", `${this.#prefix}-${host}`]).catch(() => {});
  }

  async #build(): Promise<void> {
    for (const host of hosts) {
      await runChild(["ip", "netns", "add", `${this.#prefix}-${host}`]);
      await this.#ip(host, "link set lo up");
    }
    for (const address of servers) await this.#ip("server", `addr add ${address}/32 dev lo`);
    for (const address of servers6) await this.#ip("server", `addr add ${address}/128 dev lo`);
    await this.#cable("server", "in", "carrier", "out");
    await this.#cable("carrier", "in", "home", "out");
    await this.#cable("home", "in", "client", "out");
    await this.#plug("server", "in", "203.0.113.1/24", "2001:db8:3::1/64");
    await this.#plug("carrier", "out", "203.0.113.10/24", "2001:db8:3::2/64");
    await this.#plug("carrier", "in", `${this.#between}.1/24`, "2001:db8:2::1/64");
    await this.#plug("home", "out", `${this.#between}.2/24`, "2001:db8:2::2/64");
    await this.#plug("home", "in", "10.0.0.1/24", "2001:db8:1::1/64");
    await this.#plug("client", "out", `${client}/24`, `${client6}/64`);
    for (const box of ["carrier", "home"] as const) {
      await runChild([...this.on(box), "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
    }
    await this.#routes();
  }

  async #routes(): Promise<void> {
    const [inner, outer] = [`${this.#between}.2`, `${this.#between}.1`];
    await this.#ip("client", "route add default via 10.0.0.1");
    await this.#ip("home", `route add default via ${outer}`);
    await this.#ip("carrier", "route add default via 203.0.113.1");
    await this.#ip("carrier", `route add 10.0.0.0/24 via ${inner}`);
    await this.#ip("server", `route add default via 203.0.113.10`);
    await this.#ip("client", "-6 route add default via 2001:db8:1::1");
    await this.#ip("home", "-6 route add default via 2001:db8:2::1");
    await this.#ip("carrier", "-6 route add default via 2001:db8:3::1");
    await this.#ip("carrier", "-6 route add 2001:db8:1::/64 via 2001:db8:2::2");
    await this.#ip("server", "-6 route add default via 2001:db8:3::2");
  }

  async #cable(left: Host, leftEnd: string, right: Host, rightEnd: string): Promise<void> {
    await this.#ip(left, `link add ${leftEnd} type veth peer name ${rightEnd} netns ${this.#prefix}-${right}`);
  }

  async #plug(host: Host, device: string, address: string, address6: string): Promise<void> {
    await this.#ip(host, `addr add ${address} dev ${device}`);
    // Else IPv6 waits a second or two for somebody who has the address already.
    await this.#ip(host, `addr add ${address6} dev ${device} nodad`);
    await this.#ip(host, `link set ${device} up`);
  }

  async #ip(host: Host, command: string): Promise<void> {
    await runChild(["ip", "-n", `${this.#prefix}-${host}`, ...command.split(" ")]);
  }
}
