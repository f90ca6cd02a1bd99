/**
 * One home behind one NAT of nftables, in network namespaces, and a server with two addresses outside. The NAT's rules
 * are exchanged from test to test.
 *
 *   client 10.0.0.2 --- 10.0.0.1 nat 203.0.113.10 --- 203.0.113.1 server (198.51.100.1, 198.51.100.2)
 */
import { runChild } from "../support/child.ts";

export const servers = ["198.51.100.1", "198.51.100.2"] as const;
const outside = "203.0.113.10";

const hosts = ["server", "nat", "client"] as const;
type Host = (typeof hosts)[number];

const sequence = Array.from({ length: 64 }, (_, i) => `${i} : ${40_000 + i}`).join(", ");

function postrouting(rules: string): string {
  return `table ip nat { chain post { type nat hook postrouting priority 100; ${rules}; }; }`;
}

/** Everybody is let in to a port once it is open. `inside` is where packets to the outside address come from. */
function fullCone(from: string, post = ""): string {
  return `table ip nat {
  map fc { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 60s; }
  chain pre { type nat hook prerouting priority -100; ${from} meta l4proto udp dnat ip to udp dport map @fc; }
  chain post {
    type nat hook postrouting priority 100;
    ${post}
    oifname "w1" meta l4proto udp update @fc { udp sport : ip saddr . udp sport }
    oifname "w1" masquerade
  }
}`;
}

const fromOutside = 'iifname "w1"';
const fromAnywhere = `ip daddr ${outside}`;

export const variants = {
  "port-restricted cone": postrouting('oifname "w1" masquerade'),
  "port-restricted cone, other ports": postrouting(`oifname "w1" meta l4proto udp snat to ${outside}:40000-49999`),
  "full cone": fullCone(fromOutside),
  "restricted cone": `${fullCone(fromOutside)}
table ip filter {
  set seen { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 60s; }
  chain forward {
    type filter hook forward priority 0; policy drop;
    iifname "inside" oifname "w1" meta l4proto udp update @seen { ip daddr . udp sport } accept
    iifname "inside" accept
    iifname "w1" meta l4proto udp ip saddr . udp dport @seen accept
    iifname "w1" meta l4proto udp drop
    ct state established,related accept
  }
}`,
  "symmetric, random": postrouting('oifname "w1" masquerade fully-random'),
  "symmetric, in sequence": postrouting(
    `oifname "w1" meta l4proto udp snat to ${outside} : numgen inc mod 64 map { ${sequence} }`,
  ),
  "mapping by address": postrouting(
    `oifname "w1" meta l4proto udp snat to ${outside} : jhash ip saddr . udp sport . ip daddr mod 20000 offset 40000`,
  ),
  "hairpin, external source": fullCone(
    fromAnywhere,
    `ip saddr 10.0.0.0/24 oifname "inside" ct status dnat snat to ${outside}`,
  ),
  "hairpin, internal source": fullCone(fromAnywhere),
  "UDP blocked": `table ip filter { chain forward { type filter hook forward priority 0; meta l4proto udp drop; }; }`,
} as const;
export type Variant = keyof typeof variants;

export class HomeNetwork implements AsyncDisposable {
  readonly #prefix: string;

  private constructor(prefix: string) {
    this.#prefix = prefix;
  }

  static async make(): Promise<HomeNetwork> {
    const network = new HomeNetwork(`postern-home-${process.pid}`);
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

  async setNat(variant: Variant): Promise<void> {
    await runChild([...this.on("nat"), "nft", `flush ruleset; ${variants[variant]}`]);
  }

  /** Seconds after which the NAT forgets a socket that has had one answer. */
  async setUdpTimeout(seconds: number): Promise<void> {
    await this.#sysctl("nat", `net.netfilter.nf_conntrack_udp_timeout=${seconds}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of hosts) await runChild(["ip", "netns", "del", `${this.#prefix}-${host}`]).catch(() => {});
  }

  async #build(): Promise<void> {
    for (const host of hosts) {
      await runChild(["ip", "netns", "add", `${this.#prefix}-${host}`]);
      await this.#ip(host, "link set lo up");
    }
    await this.#ip("nat", `link add w1 type veth peer name w0 netns ${this.#prefix}-server`);
    await this.#ip("nat", `link add inside type veth peer name home netns ${this.#prefix}-client`);
    for (const address of servers) await this.#ip("server", `addr add ${address}/32 dev lo`);
    await this.#plug("server", "w0", "203.0.113.1/24");
    await this.#plug("nat", "w1", `${outside}/24`);
    await this.#plug("nat", "inside", "10.0.0.1/24");
    await this.#plug("client", "home", "10.0.0.2/24");
    await this.#ip("nat", "route add 198.51.100.0/24 via 203.0.113.1");
    await this.#ip("client", "route add default via 10.0.0.1");
    await this.#sysctl("nat", "net.ipv4.ip_forward=1");
    // A host that tries hairpinning alone gets packets from its own address, which Linux drops otherwise.
    await this.#sysctl("client", "net.ipv4.conf.all.accept_local=1");
    await this.#sysctl("client", "net.ipv4.conf.all.rp_filter=0");
    await this.#sysctl("client", "net.ipv4.conf.home.rp_filter=0");
  }

  async #plug(host: Host, device: string, address: string): Promise<void> {
    await this.#ip(host, `addr add ${address} dev ${device}`);
    await this.#ip(host, `link set ${device} up`);
  }

  async #sysctl(host: Host, setting: string): Promise<void> {
    await runChild([...this.on(host), "sysctl", "-qw", setting]);
  }

  async #ip(host: Host, command: string): Promise<void> {
    await runChild(["ip", "-n", `${this.#prefix}-${host}`, ...command.split(" ")]);
  }
}
