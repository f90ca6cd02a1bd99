/**
 * Offload on hosts that do something with packets themselves: filters, bridges, published ports, masquerading. Either the
 * kernel forwards and every packet arrives, from the address that it would have without, or user space does.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { requireBpf, requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { direct, echoes, firewall, mixed, OffloadWorld, peerAt, peerPort, port, serveAt } from "./offload-world.ts";

const skip = requireBpf() || requirePrivilege("root", "sys-admin") || requirePeer("ip", "nft");

const masqueradingOf = (table: "ip" | "ip6") => `
table ${table} nat {
  chain out {
    type nat hook postrouting priority srcnat
    oifname "rp" masquerade
  }
}`;
const masquerading = masqueradingOf("ip");

const families = [
  { table: "ip", server: "10.91.0.1", outer: "10.92.0.1", inner: "10.93.0.1", peerAt, family: 4 },
  { table: "ip6", server: "fd91::1", outer: "fd92::1", inner: "fd93::1", peerAt: `[fd92::2]:${peerPort}`, family: 6 },
] as const;
const literal = (ip: string) => (ip.includes(":") ? `[${ip}]` : ip);

const outcomes = ["forwarded", "passed"].map((name) => `offload_datagrams_total{outcome="${name}"}`);

/** Who is nobody else. */
const nobody = 65_533;

const hostOf = (source: string) => source.slice(0, source.lastIndexOf(":"));

async function sourcesOf(peer: { ask(command: { do: "heard" }): Promise<{ sources?: readonly string[] }> }) {
  return (await peer.ask({ do: "heard" })).sources ?? [];
}

describe("offload beside the host's own rules", { skip, timeout: 350_000 }, () => {
  test("in a container behind a bridge, with a published port and masquerading outside: the kernel forwards", async () => {
    await using world = new OffloadWorld();
    const [client, host, box, peer] = await Promise.all(
      ["client", "host", "box", "peer"].map((name) => world.namespace(name)),
    );
    assert.ok(client && host && box && peer);
    await host.ip("link add br0 type bridge", "addr add 172.30.0.1/24 dev br0", "link set br0 up");
    await world.link(
      { place: client, device: "c0", addresses: ["10.91.0.2/24"] },
      { place: host, device: "hc", addresses: ["10.91.0.1/24"] },
    );
    await world.link(
      { place: peer, device: "p0", addresses: ["10.92.0.2/24"] },
      { place: host, device: "hp", addresses: ["10.92.0.1/24"] },
    );
    await world.link(
      { place: box, device: "eth0", addresses: ["172.30.0.2/24"] },
      { place: host, device: "hb", addresses: [] },
    );
    await host.ip("link set hb master br0");
    await box.ip("route add default via 172.30.0.1");
    await host.set("net.ipv4.ip_forward=1");
    await host.nft(`
      table ip nat {
        chain in {
          type nat hook prerouting priority dstnat
          iifname "hc" udp dport ${port} dnat to 172.30.0.2
          iifname "hp" udp dport 50000-50099 dnat to 172.30.0.2
        }
        chain out {
          type nat hook postrouting priority srcnat
          oifname { "hp", "hc" } masquerade
        }
      }`);
    await world.serve(box, { addresses: ["172.30.0.2"], external: { "172.30.0.2": "10.92.0.1" } });
    const asked = await world.allocated(client, `10.91.0.1:${port}`, peer, peerAt);
    await until("both flows to be in the kernel", async () => (await world.flows()) === 2);
    assert.equal(await echoes(asked, 20), 20);
    await until("all to be forwarded by the kernel", async () => (await world.forwarded()) === 40);
    assert.deepEqual((await sourcesOf(asked.peer)).map(hostOf), ["10.92.0.1"]);
  });

  for (const { table, server, outer, inner, peerAt: to, family } of families) {
    test(`IPv${family} masquerading on the relay's own host: user space relays, and the peer sees one address`, async () => {
      await using world = new OffloadWorld();
      const { client, relay, peer } = await direct(world);
      await relay.nft(masqueradingOf(table));
      await world.serve(relay, serveAt(inner, server));
      const asked = await world.allocated(client, `${literal(server)}:${port}`, peer, to);
      assert.equal(await echoes(asked, 40), 40);
      assert.deepEqual([await world.flows(), await world.forwarded()], [0, 0]);
      assert.deepEqual((await sourcesOf(asked.peer)).map(hostOf), [outer]);
      assert.equal(world.log.match(/^.*this host translates.*$/gm)?.length, 1, "told once");
    });

    test(`IPv${family} masquerading that changes nothing of it: the kernel forwards what has shown so`, async () => {
      await using world = new OffloadWorld();
      const { client, relay, peer } = await direct(world);
      await relay.nft(masqueradingOf(table));
      await world.serve(relay, serveAt(outer, server));
      const asked = await world.allocated(client, `${literal(server)}:${port}`, peer, to);
      assert.equal(await world.flows(), 0, "nothing has shown how the host treats the relay's packets");
      assert.equal(await echoes(asked, 1), 1);
      await until("both flows to be in the kernel", async () => (await world.flows()) === 2);
      const [forwarded, passed] = await world.metrics(...outcomes);
      assert.equal(await echoes(asked, 20), 20);
      await until("all to be forwarded, but what the host has to see", async () => {
        const now = await world.metrics(...outcomes);
        return now[0]! + now[1]! - forwarded! - passed! === 40 && now[0]! > forwarded! + 30;
      });
      assert.equal((await sourcesOf(asked.peer)).length, 1);
    });
  }

  test("a daemon that may ask the host nothing has its helper ask", async () => {
    for (const [relayAddress, flows, source] of [
      ["10.92.0.1", 2, "10.92.0.1"],
      ["10.93.0.1", 0, "10.92.0.1"],
    ] as const) {
      await using world = new OffloadWorld();
      const { client, relay, peer } = await direct(world);
      await relay.nft(masquerading);
      await world.serve(relay, {
        ...serveAt(relayAddress),
        owner: nobody,
        behind: ["helper", "--user", `${nobody}`, "--"],
      });
      const asked = await world.allocated(client, `10.91.0.1:${port}`, peer, peerAt);
      assert.equal(await echoes(asked, 1), 1);
      await until("what the host makes of it to be known", async () => {
        await echoes(asked, 1);
        return flows === 0 ? /this host translates/.test(world.log) : (await world.flows()) === flows;
      });
      assert.equal(await echoes(asked, 20), 20);
      assert.equal(await world.flows(), flows);
      assert.deepEqual((await sourcesOf(asked.peer)).map(hostOf), [source]);
    }
  });

  test("what the host does not track, beside rules that would translate it: the kernel forwards", async () => {
    await using world = new OffloadWorld();
    const { client, relay, peer } = await direct(world);
    await relay.nft(`${masquerading}
      table ip raw {
        chain in { type filter hook prerouting priority raw; meta l4proto udp notrack; }
        chain out { type filter hook output priority raw; meta l4proto udp notrack; }
      }`);
    await world.serve(relay, serveAt("10.93.0.1"));
    const asked = await world.allocated(client, `10.91.0.1:${port}`, peer, peerAt);
    assert.equal(await echoes(asked, 1), 1);
    await until("both flows to be in the kernel", async () => {
      await echoes(asked, 1);
      return (await world.flows()) === 2;
    });
    assert.equal(await echoes(asked, 20), 20);
    assert.deepEqual((await sourcesOf(asked.peer)).map(hostOf), ["10.93.0.1"]);
  });

  test("a port that the relay's own host redirects: user space relays, both ways", async () => {
    await using world = new OffloadWorld();
    const { client, relay, peer } = await direct(world);
    await relay.nft(`
      table ip nat {
        chain in {
          type nat hook prerouting priority dstnat
          udp dport 443 redirect to :${port}
        }
      }`);
    await world.serve(relay, serveAt("10.92.0.1"));
    const asked = await world.allocated(client, "10.91.0.1:443", peer, peerAt);
    assert.equal(await echoes(asked, 40), 40);
    assert.deepEqual([await world.flows(), await world.forwarded()], [0, 0]);
  });

  test("rules that come while the kernel forwards, and go", async () => {
    await using world = new OffloadWorld();
    const { client, relay, peer } = await direct(world);
    await world.serve(relay, serveAt("10.93.0.1"));
    const asked = await world.allocated(client, `10.91.0.1:${port}`, peer, peerAt);
    await until("both flows to be in the kernel", async () => (await world.flows()) === 2);
    assert.equal(await echoes(asked, 5), 5);
    await relay.nft(masquerading);
    await until("both flows to be taken back", async () => (await world.flows()) === 0);
    assert.equal(await echoes(asked, 20), 20);
    assert.deepEqual((await sourcesOf(asked.peer)).map(hostOf), ["10.93.0.1", "10.92.0.1"]);
    assert.equal(await world.flows(), 0);
    await relay.nft("flush ruleset");
    await until("both flows to be there again", async () => (await world.flows()) === 2);
    assert.equal(await echoes(asked, 5), 5);
  });

  test("addresses that are rewritten before the program sees what user space sees: user space relays from then on", async () => {
    await using world = new OffloadWorld();
    const { client, relay, peer } = await direct(world);
    await relay.nft(`
      table ip rewrite {
        chain in { type filter hook prerouting priority raw; iifname "rc" udp dport 443 udp dport set ${port}; }
        chain out { type filter hook postrouting priority raw; oifname "rc" udp sport ${port} udp sport set 443; }
      }`);
    await world.serve(relay, serveAt("10.92.0.1"));
    const asked = await world.allocated(client, "10.91.0.1:443", peer, peerAt);
    // What comes back by the kernel is lost to the client, which has sent to another port.
    await until("both flows to be taken back", async () => {
      await asked.one.ask({ do: "relay", to: 0x4000, texts: Array.from({ length: 10 }, (_, i) => `${i}`) });
      return (await world.flows()) === 0;
    });
    assert.equal(await echoes(asked, 20), 20);
    assert.match(world.log, /are not seen where they should come in/);
  });

  test("a stateful firewall on the relay's host: what comes up after all is let in", async () => {
    await using world = new OffloadWorld();
    const { client, relay, peer } = await direct(world);
    await relay.nft(firewall);
    await relay.set("net.netfilter.nf_conntrack_udp_timeout=3", "net.netfilter.nf_conntrack_udp_timeout_stream=3");
    await world.serve(relay, serveAt("10.92.0.1"));
    const asked = await world.allocated(client, `10.91.0.1:${port}`, peer, peerAt);
    await until("both flows to be in the kernel", async () => (await world.flows()) === 2);
    const { lost, forwarded, tooLong, passed, longs, sent } = await mixed(world, asked, peerAt, 12);
    assert.equal(lost, 0, `${lost} of ${sent} were lost`);
    assert.ok(longs >= 3 && tooLong >= longs, `${tooLong} of ${longs} went up`);
    assert.ok(passed >= 8 && forwarded > 5 * passed, `${passed} were shown, ${forwarded} forwarded`);
  });
});
