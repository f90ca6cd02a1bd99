/** A topology of namespaces: built, entered, and gone when it is disposed of, or with this process. */
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { PosternError } from "../core/base/failure.ts";
import { firewalls } from "./firewalls.ts";
import type { LinkOrder } from "./link-order.ts";
import { Namespace } from "./namespace.ts";
import { nats } from "./nats.ts";
import { passageRules } from "./passages.ts";
import { type Plan, type PlannedGateway, type PlannedHost, plan, type Topology } from "./topology.ts";

export interface NetworkOptions {
  /** Milliseconds that a packet and its answer take between two places on the internet, at the least. */
  readonly roundTrip?: number;
  /** Takes the network down. */
  readonly signal?: AbortSignal | undefined;
}

const underlay = { kernel: "169.254.99.1", helper: "169.254.99.2" } as const;

/**
 * What is sent to a port that no host inside has is for nobody: a router that took it in would keep the port from the
 * host that is next, or the sender from that host.
 */
function ownRules(outside: string): string {
  return `table inet own {
  chain input { type filter hook input priority 0; ip daddr ${outside} meta l4proto udp ct state new drop; }
}
`;
}

/** The path of a program that stands beside this file, as source or built. */
export function beside(name: string): string {
  return fileURLToPath(new URL(`${name}${extname(import.meta.url)}`, import.meta.url));
}

export class Network implements AsyncDisposable {
  readonly plan: Plan;
  readonly #roundTrip: number;
  readonly #namespaces: Map<string, Namespace> = new Map();
  #links = 0;
  #isClosed = false;
  #forgetSignal: () => void = () => {};

  /** Rejects with `PosternError` `lab-namespace`, `lab-program` or `lab-command`; what was made until then is gone. */
  static async build(topology: Topology, { roundTrip = 0, signal }: NetworkOptions = {}): Promise<Network> {
    const network = new Network(plan(topology), roundTrip);
    const end = () => void network[Symbol.asyncDispose]();
    signal?.addEventListener("abort", end);
    network.#forgetSignal = () => signal?.removeEventListener("abort", end);
    try {
      signal?.throwIfAborted();
      await network.#build();
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
    return network;
  }

  private constructor(planned: Plan, roundTrip: number) {
    this.plan = planned;
    this.#roundTrip = roundTrip;
  }

  /** The namespace of a host or a gateway. */
  at(name: string): Namespace {
    const namespace = this.#namespaces.get(name);
    if (namespace === undefined) throw new Error(`no ${name} in this network`);
    return namespace;
  }

  /** The first address of a host. */
  addressOf(host: string): string {
    const found = this.plan.hosts.find(({ name }) => name === host);
    if (found === undefined) throw new Error(`no ${host} in this network`);
    return found.addresses[0] as string;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#forgetSignal();
    await Promise.all([...this.#namespaces.values()].map((namespace) => namespace.close()));
    this.#namespaces.clear();
  }

  async #build(): Promise<void> {
    const { hosts, gateways } = this.plan;
    const names = ["internet", ...[...hosts, ...gateways].map(({ name }) => name)];
    const isWatched = this.#roundTrip > 0 || gateways.some(rewrites);
    if (isWatched) names.push("link", "underlay");
    await Promise.all(names.map((name) => this.#open(name)));
    await this.at("internet").ip("link add bridge type bridge", "link set bridge up");
    if (isWatched) await this.#startLink();
    // From the internet inward.
    for (const gateway of gateways.toReversed()) await this.#placeGateway(gateway);
    for (const host of hosts) await this.#placeHost(host);
  }

  async #open(name: string): Promise<void> {
    const namespace = await Namespace.open(name);
    this.#namespaces.set(name, namespace);
    if (!this.#isClosed) return;
    await namespace.close();
    throw new PosternError("lab-ended", "The lab was asked to end.");
  }

  async #startLink(): Promise<void> {
    const [link, kernel] = [this.at("link"), this.at("underlay")];
    await kernel.ip(
      `link add helper type veth peer name kernel netns ${link.pid}`,
      `addr add ${underlay.kernel}/24 dev helper`,
      "link set helper mtu 2000 up",
    );
    await link.ip(`addr add ${underlay.helper}/24 dev kernel`, "link set kernel mtu 2000 up");
    const order: LinkOrder = {
      address: underlay.helper,
      // A packet and its answer cross four such links.
      delay: this.#roundTrip / 4,
      rewritings: this.plan.gateways.filter(rewrites).map(({ outside, site }) => {
        return { outside, inside: this.plan.hosts.find((host) => host.site === site)?.addresses[0] ?? outside };
      }),
    };
    const program = await link.start([process.execPath, beside("link"), JSON.stringify(order)]);
    await program.says("ready");
  }

  async #placeGateway(gateway: PlannedGateway): Promise<void> {
    const namespace = this.at(gateway.name);
    const { outside, inside, via } = gateway;
    if (via === undefined) await this.#joinInternet(namespace, rewrites(gateway));
    else await this.#joinInside(namespace, this.#gatewayAt(via));
    await namespace.ip(
      `addr add ${outside}/24 dev outside`,
      "link set outside up",
      "link add inside type bridge",
      `addr add ${inside}/24 dev inside`,
      "link set inside up",
      ...(via === undefined ? [] : [`route add default via ${via}`]),
    );
    // Frames between hosts of one network are not the router's packets, whatever the kernel's default is.
    await namespace.set("net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=0");
    const { udpTimeout } = gateway.declaration;
    if (udpTimeout !== undefined) {
      const timeout = "net.netfilter.nf_conntrack_udp_timeout";
      await namespace.set(`${timeout}=${udpTimeout}`, `${timeout}_stream=${udpTimeout}`);
    }
    await this.#configure(gateway);
  }

  async #configure({ name, declaration, outside, inside }: PlannedGateway): Promise<void> {
    const place = { outside, network: networkOf(inside), udpTimeout: declaration.udpTimeout };
    const firewall = declaration.firewall === undefined ? "" : firewalls[declaration.firewall];
    const nat = nats[declaration.nat].rules(place);
    await this.at(name).nft(["flush ruleset", nat, firewall, ownRules(outside), passageRules].join("\n"));
  }

  async #placeHost({ name, addresses, site }: PlannedHost): Promise<void> {
    const namespace = this.at(name);
    const router = site === undefined ? undefined : this.plan.gateways.find((one) => one.site === site);
    if (router === undefined) await this.#joinInternet(namespace, false);
    else await this.#joinInside(namespace, this.at(router.name));
    await namespace.ip(
      ...addresses.map((address) => `addr add ${address}${address.includes(":") ? "/64 nodad" : "/24"} dev outside`),
      "link set outside up",
      // On the internet everything is a neighbour, and what is nobody's address is lost there.
      `route add default ${router === undefined ? "dev outside" : `via ${router.inside}`}`,
    );
    // A host that tries hairpinning alone gets packets from its own address, which Linux drops otherwise.
    await namespace.set(
      "net.ipv4.conf.all.accept_local=1",
      "net.ipv4.conf.all.rp_filter=0",
      "net.ipv4.conf.outside.rp_filter=0",
    );
    await namespace.nft(passageRules);
  }

  #gatewayAt(inside: string): Namespace {
    return this.at((this.plan.gateways.find((one) => one.inside === inside) as PlannedGateway).name);
  }

  async #joinInside(namespace: Namespace, router: Namespace): Promise<void> {
    const port = `port${++this.#links}`;
    await router.ip(
      `link add ${port} type veth peer name outside netns ${namespace.pid}`,
      `link set ${port} master inside`,
      `link set ${port} up`,
    );
  }

  async #joinInternet(namespace: Namespace, isRewritten: boolean): Promise<void> {
    const exchange = this.at("internet");
    const port = `port${++this.#links}`;
    const plug = [`link set ${port} master bridge`, `link set ${port} up`];
    if (this.#roundTrip > 0 || isRewritten) await this.#stretch(exchange, port, namespace);
    else plug.unshift(`link add ${port} type veth peer name outside netns ${namespace.pid}`);
    await exchange.ip(...plug);
  }

  /** Two ends of one link, whose frames pass through the program `link`. */
  async #stretch(exchange: Namespace, port: string, namespace: Namespace): Promise<void> {
    const near = 2 * this.#links;
    const end = (name: string, vni: number, pid: number): string[] => [
      `link add ${name} type vxlan id ${vni} local ${underlay.kernel} remote ${underlay.helper} dstport 4789`,
      `link set ${name} mtu 1500 gso_max_segs 1`,
      `link set ${name} netns ${pid}`,
    ];
    await this.at("underlay").ip(...end(port, near, exchange.pid), ...end("outside", near + 1, namespace.pid));
  }
}

function rewrites({ declaration, via }: PlannedGateway): boolean {
  return declaration.rewritesPayload === true && via === undefined;
}

function networkOf(address: string): string {
  return address.replace(/\d+$/, "0/24");
}
