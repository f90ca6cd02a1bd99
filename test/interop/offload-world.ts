/** Namespaces with links between them, and a relay that offloads in one of them. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { Namespace } from "../../src/lab/namespace.ts";
import { type RelayOptions, type RelayUnderTest, startRelay } from "../support/relay-under-test.ts";
import { until } from "../support/until.ts";
import { Endpoint } from "./endpoints.ts";
import { through } from "./networks.ts";

export const user = { name: "alice", password: "wonderland" };
export const port = 3478;
export const peerPort = 9_000;
export const channel = 0x4000;
/** Where `direct` has a peer. */
export const peerAt = `10.92.0.2:${peerPort}`;

const httpPort = 9_100;

export interface LinkEnd {
  readonly place: Namespace;
  readonly device: string;
  /** With the length of its network's prefix. */
  readonly addresses: readonly string[];
}

export interface Asked {
  readonly one: Endpoint;
  readonly peer: Endpoint;
}

/** Everything that was opened is closed with it. */
export class OffloadWorld implements AsyncDisposable {
  readonly #held = new AsyncDisposableStack();
  #server: RelayUnderTest | undefined;
  #relay: Namespace | undefined;

  async namespace(name: string): Promise<Namespace> {
    const namespace = await Namespace.open(name);
    this.#held.defer(() => namespace.close());
    return namespace;
  }

  /** A virtual cable. */
  async link(a: LinkEnd, b: LinkEnd): Promise<void> {
    await a.place.ip(`link add ${a.device} type veth peer name ${b.device} netns ${b.place.pid}`);
    for (const { place, device, addresses } of [a, b]) {
      await place.ip(
        ...addresses.map((at) => `addr add ${at} dev ${device}${at.includes(":") ? " nodad" : ""}`),
        `link set ${device} up`,
      );
    }
  }

  async serve(place: Namespace, options: Partial<RelayOptions>): Promise<void> {
    this.#relay = place;
    const server = await startRelay({
      user,
      relayPorts: { low: 50_000, high: 50_099 },
      allowPeers: ["10.0.0.0/8", "fd00::/8"],
      channelRange: "rfc5766",
      port,
      through: through(place),
      ...options,
      postern: { offload: "auto", "http-listen": `127.0.0.1:${httpPort}`, ...options.postern },
    });
    this.#held.defer(() => server.stop());
    this.#server = server;
    await until("the program to be loaded", () => /"offload-is-on"/.test(server.output()));
  }

  get log(): string {
    return this.#server?.output() ?? "";
  }

  /** Those of the relay, without their prefix. */
  async metrics(...names: readonly string[]): Promise<number[]> {
    const program = `fetch("http://127.0.0.1:${httpPort}/metrics").then((r) => r.text()).then(console.log)`;
    const all = (await this.#relay?.run([process.execPath, "-e", program])) ?? "";
    const values = new Map(all.split("\n").map((line) => line.split(" ") as [string, string]));
    return names.map((name) => Number(values.get(`postern_${name}`)));
  }

  async metric(name: string): Promise<number> {
    return (await this.metrics(name))[0] as number;
  }

  flows(): Promise<number> {
    return this.metric("offloaded_flows");
  }

  forwarded(): Promise<number> {
    return this.metric('offload_datagrams_total{outcome="forwarded"}');
  }

  async endpoint(...how: Parameters<typeof Endpoint.start>): Promise<Endpoint> {
    const endpoint = await Endpoint.start(...how);
    this.#held.defer(() => endpoint.stop());
    return endpoint;
  }

  /** A client with a channel to a peer that sends everything back. */
  async allocated(client: Namespace, at: string, peer: Namespace, peerAt: string): Promise<Asked> {
    const [host, clientPort] = [hostOf(at), Number(at.slice(at.lastIndexOf(":") + 1))];
    const options = { host, port: clientPort, username: user.name, password: user.password };
    const [one, two] = await Promise.all([this.endpoint(client, options), this.endpoint(peer)]);
    await two.ask({ do: "echo", at: peerAt });
    await one.ask({ do: "allocate", dual: peerAt.startsWith("[") });
    await one.ask({ do: "bindChannel", channel, peer: peerAt });
    return { one, peer: two };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held.disposeAsync();
  }
}

function hostOf(at: string): string {
  return at.slice(0, at.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}

let told = 0;

/** Milliseconds; a permission lasts five minutes. */
const permitEvery = 120_000;

/** Asks for echoes, one after the other, and says how many came within a second each. */
export async function echoes({ one }: Asked, count: number, length = 20): Promise<number> {
  let back = 0;
  for (let i = 0; i < count; i++) {
    const text = `${told++} `.padEnd(length, "x");
    await one.ask({ do: "relay", to: channel, texts: [text] });
    for (let waited = 0; waited < 100; waited++) {
      if ((await one.ask({ do: "heard" })).heard?.includes(text)) {
        back++;
        break;
      }
      await delay(10);
    }
  }
  return back;
}

/** A firewall that lets in requests, and what belongs to something that it knows. */
export const firewall = `
table inet filter {
  chain in {
    type filter hook input priority filter; policy drop;
    iif lo accept
    ct state established,related accept
    udp dport ${port} accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  }
}`;

/** Of these packets the kernel's program has taken one or the other way. */
const outcome = (name: string) => `offload_datagrams_total{outcome="${name}"}`;

/**
 * Speech both ways for so many seconds, all of it for the kernel to forward, and every few seconds something from the peer that
 * is too long for it. Returns how many texts were lost, and how many packets went up for no other reason than to be seen.
 */
export async function mixed(
  world: OffloadWorld,
  { one, peer }: Asked,
  peerAt: string,
  seconds: number,
  longEvery = 3.5,
) {
  const sent: string[] = [];
  const [forwarded, passed, tooLong] = (await world.metrics(...["forwarded", "passed", "tooLong"].map(outcome))) as [
    number,
    number,
    number,
  ];
  const begun = performance.now();
  let longs = 0;
  // Whom the peer calls is who has spoken to it.
  await one.ask({ do: "relay", to: channel, texts: ["hello"] });
  let permits = 0;
  while (performance.now() < begun + seconds * 1_000) {
    if (performance.now() > begun + (permits + 1) * permitEvery) {
      permits++;
      await one.ask({ do: "permit", peer: peerAt });
    }
    const text = `${told++} of speech`;
    await one.ask({ do: "relay", to: channel, texts: [text] });
    sent.push(text, `${text} of the peer`);
    await peer.ask({ do: "call", texts: [`${text} of the peer`] });
    if (performance.now() > begun + (longs + 1) * longEvery * 1_000) {
      longs++;
      const long = `${told++} `.padEnd(1_470, "long");
      sent.push(long);
      await peer.ask({ do: "call", texts: [long] });
    }
    await delay(100);
  }
  await one.ask({ do: "relay", to: channel, texts: ["the last"] });
  await until("the last to come back", async () => (await one.ask({ do: "heard" })).heard?.includes("the last"));
  const heard = new Set((await one.ask({ do: "heard" })).heard);
  const now = (await world.metrics(...["forwarded", "passed", "tooLong"].map(outcome))) as [number, number, number];
  return {
    lost: sent.filter((text) => !heard.has(text)).length,
    forwarded: now[0] - forwarded,
    passed: now[1] - passed,
    tooLong: now[2] - tooLong,
    longs,
    sent: sent.length,
  };
}

export interface Host {
  readonly world: OffloadWorld;
  readonly client: Namespace;
  readonly relay: Namespace;
  readonly peer: Namespace;
}

/** A client's network, the relay's host, and a peer's network. The relay has an address that is on neither. */
export async function direct(world: OffloadWorld): Promise<Host> {
  const [client, relay, peer] = await Promise.all(["client", "relay", "peer"].map((name) => world.namespace(name)));
  assert.ok(client && relay && peer);
  await world.link(
    { place: client, device: "c0", addresses: ["10.91.0.2/24", "fd91::2/64"] },
    { place: relay, device: "rc", addresses: ["10.91.0.1/24", "fd91::1/64"] },
  );
  await world.link(
    { place: peer, device: "p0", addresses: ["10.92.0.2/24", "fd92::2/64"] },
    { place: relay, device: "rp", addresses: ["10.92.0.1/24", "fd92::1/64"] },
  );
  await relay.ip("addr add 10.93.0.1/32 dev rp", "addr add fd93::1/128 dev rp nodad");
  await peer.ip("route add 10.93.0.1 via 10.92.0.1", "route add fd93::1 via fd92::1");
  return { world, client, relay, peer };
}

export const serveAt = (relayAddress: string, address = "10.91.0.1") => ({
  addresses: [address],
  // A client that wants IPv6 asks for both.
  postern: { "relay-addresses": relayAddress.includes(":") ? ["10.92.0.1", relayAddress] : [relayAddress] },
});
