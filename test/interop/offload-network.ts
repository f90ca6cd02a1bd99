/**
 * A client and a peer on networks of their own, and between them a relay, on real links: what tests of offload stand on. What
 * user space saw of it is asked by metrics.
 */
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Namespace } from "../../src/lab/namespace.ts";
import { peerPath, requireBpf, requireIpv6, requirePeer, requirePrivilege, type Skip } from "../support/peers.ts";
import { type RelayOptions, type RelayUnderTest, startRelay } from "../support/relay-under-test.ts";
import { until } from "../support/until.ts";
import { Endpoint } from "./endpoints.ts";
import { through } from "./networks.ts";

export type Family = 4 | 6;

export const at = {
  client: { 4: "10.81.0.2", 6: "fd81::2" },
  toClient: { 4: "10.81.0.1", 6: "fd81::1" },
  toPeer: { 4: "10.82.0.1", 6: "fd82::1" },
  peer: { 4: "10.82.0.2", 6: "fd82::2" },
} as const;

export const user = { name: "alice", password: "wonderland" };
export const port = 3478;
export const peerPort = 9_000;
export const channel = 0x4000;
const httpPort = 9_100;

export function requireOffload(): Skip {
  return (
    requireBpf() || requirePrivilege("root", "sys-admin") || requireIpv6() || requirePeer("ip", "ethtool", "nsenter")
  );
}

/** Within the second that the way there and back takes at the most, on a busy machine too. */
export async function hasHeard(endpoint: Endpoint, count: number): Promise<boolean> {
  for (let i = 0; i < 100; i++) {
    if (((await endpoint.ask({ do: "heard" })).heard?.length ?? 0) >= count) return true;
    await delay(10);
  }
  return false;
}

const literal = (ip: string, portOf: number) => (ip.includes(":") ? `[${ip}]:${portOf}` : `${ip}:${portOf}`);

export interface Allocated {
  readonly one: Endpoint;
  stop(): Promise<unknown>;
  /** Gives it up before. */
  end(): Promise<void>;
}

interface StartOptions extends Pick<RelayOptions, "owner" | "behind"> {
  readonly before?: readonly string[];
  readonly settings?: Readonly<Record<string, unknown>>;
}

export class OffloadNetwork {
  readonly client: Namespace;
  readonly relay: Namespace;
  readonly peer: Namespace;
  readonly #closing: (() => Promise<unknown>)[] = [];

  static async open(): Promise<OffloadNetwork> {
    const places = [await Namespace.open("client"), await Namespace.open("relay"), await Namespace.open("peer")];
    const network = new OffloadNetwork(...(places as [Namespace, Namespace, Namespace]));
    await network.#link(network.client, "c0", at.client, "rc", at.toClient);
    await network.#link(network.peer, "p0", at.peer, "rp", at.toPeer);
    return network;
  }

  private constructor(client: Namespace, relay: Namespace, peer: Namespace) {
    this.client = client;
    this.relay = relay;
    this.peer = peer;
  }

  async #link(
    far: Namespace,
    device: string,
    farAt: Record<Family, string>,
    near: string,
    nearAt: Record<Family, string>,
  ): Promise<void> {
    await this.relay.ip(`link add ${near} type veth peer name ${device} netns ${far.pid}`);
    for (const [place, name, address] of [
      [far, device, farAt],
      [this.relay, near, nearAt],
    ] as const) {
      await place.ip(
        `addr add ${address[4]}/24 dev ${name}`,
        `addr add ${address[6]}/64 dev ${name} nodad`,
        `link set ${name} up`,
      );
    }
    // Sums are made when a packet leaves the relay at the latest, so that what arrives can be verified. What the client
    // sends comes to the relay without, and what the peer sends with one.
    await this.relay.run([peerPath("ethtool")!, "-K", near, "tx", "off"]);
    if (device === "p0") await this.peer.run([peerPath("ethtool")!, "-K", device, "tx", "off"]);
  }

  /** What is to be closed before the networks are, the last first. */
  closeBefore(close: () => Promise<unknown>): void {
    this.#closing.push(close);
  }

  /** `before`: what stands in front of the daemon's own command, behind the namespace's. */
  async start({ before = [], settings, ...more }: StartOptions = {}): Promise<Served> {
    const started = await startRelay({
      addresses: [at.toClient[4], at.toClient[6]],
      user,
      relayPorts: { low: 50_000, high: 50_999 },
      allowPeers: ["10.82.0.0/24", "fd82::/64"],
      channelRange: "rfc5766",
      port,
      through: [...through(this.relay), ...before],
      postern: {
        offload: "auto",
        "relay-addresses": [at.toPeer[4], at.toPeer[6]],
        "http-listen": `127.0.0.1:${httpPort}`,
        ...settings,
      },
      ...more,
    });
    this.closeBefore(() => started.stop());
    return new Served(started, this.relay);
  }

  /** An allocation with a channel to a peer that answers, both ways in the kernel where `flows` says so. */
  async allocated(server: Served, from: Family, to: Family, flows = 2): Promise<Allocated> {
    const options = { host: at.toClient[from], port, username: user.name, password: user.password };
    const [one, two] = await Promise.all([Endpoint.start(this.client, options), Endpoint.start(this.peer)]);
    const stop = () => Promise.all([one.stop(), two.stop()]);
    this.closeBefore(stop);
    await two.ask({ do: "echo", at: literal(at.peer[to], peerPort) });
    await one.ask({ do: "allocate", dual: true });
    const before = await server.metric("offloaded_flows");
    await one.ask({ do: "bindChannel", channel, peer: literal(at.peer[to], peerPort) });
    const wanted = before + flows;
    await until("the flows to be in the kernel", async () => (await server.metric("offloaded_flows")) === wanted);
    const end = async () => {
      await one.ask({ do: "release" });
      await stop();
    };
    return { one, stop, end };
  }

  /** On how many of the relay's interfaces there is a program, by a link. */
  async attached(): Promise<number> {
    const links = JSON.parse(await this.relay.run(["ip", "-j", "link", "show", "type", "veth"])) as {
      ifindex: number;
    }[];
    const script = fileURLToPath(new URL("attached-programs.ts", import.meta.url));
    const counts = links.map(({ ifindex }) => this.relay.run([process.execPath, script, String(ifindex)]));
    return (await Promise.all(counts)).reduce((total, count) => total + Number(count), 0);
  }

  async close(): Promise<void> {
    for (const close of this.#closing.reverse()) await close();
    await Promise.all([this.client, this.relay, this.peer].map((namespace) => namespace.close()));
  }
}

export class Served {
  readonly #server: RelayUnderTest;
  readonly #place: Namespace;

  constructor(server: RelayUnderTest, place: Namespace) {
    this.#server = server;
    this.#place = place;
  }

  get pid(): number {
    return this.#server.pid;
  }

  output(): string {
    return this.#server.output();
  }

  /** How often the log has told of it. */
  told(event: string): number {
    return this.output().split(`"${event}"`).length - 1;
  }

  async metrics(...names: readonly string[]): Promise<number[]> {
    const program = `fetch("http://127.0.0.1:${httpPort}/metrics").then((r) => r.text()).then(console.log)`;
    const all = await this.#place.run([process.execPath, "-e", program]);
    const values = new Map(all.split("\n").map((line) => line.split(" ") as [string, string]));
    return names.map((name) => Number(values.get(`postern_${name}`)));
  }

  async metric(name: string): Promise<number> {
    return (await this.metrics(name))[0] as number;
  }

  stop(signal?: NodeJS.Signals): Promise<void> {
    return this.#server.stop(signal);
  }
}
