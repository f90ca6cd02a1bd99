/** Which addresses serve, which relay, and what is told about them. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatIp, parseIp } from "../../src/core/base/address.ts";
import { type AddressPlan, planAddresses } from "../../src/server/address-plan.ts";
import type { Config } from "../../src/server/config/config.ts";
import { loadConfig } from "../../src/server/config/load.ts";
import { resolveExternal } from "../../src/server/external-address.ts";
import { allUris, iceUris } from "../../src/server/public-uris.ts";

const ip = (text: string) => {
  const address = parseIp(text);
  assert.ok(address !== undefined, text);
  return address;
};

async function configOf(flags: Record<string, unknown>): Promise<Config> {
  return (await loadConfig({ flags, env: { XDG_CONFIG_HOME: "/nonexistent", HOME: "/h" } })).config;
}

interface Host {
  readonly addresses: readonly string[];
  readonly routed?: readonly string[];
  readonly names?: Readonly<Record<string, readonly string[]>>;
}

async function plan(host: Host, flags: Record<string, unknown> = {}): Promise<{ plan: AddressPlan; config: Config }> {
  const config = await configOf(flags);
  const { addresses, routed = [], names = {} } = host;
  const interfaces = addresses.map((text) => ({
    address: ip(text),
    name: "eth0",
    loopback: text === "127.0.0.1" || text === "::1",
  }));
  const external = await resolveExternal(
    config.externalAddress,
    async (name) => names[name] ?? Promise.reject(new Error("ENOTFOUND")),
  );
  return { plan: planAddresses(config, { interfaces, routed: routed.map(ip), external }), config };
}

const relays = ({ plan: { relays } }: { plan: AddressPlan }) =>
  relays.map(({ bound, advertised }) => `${formatIp(bound)}=${formatIp(advertised)}`);

const cloud: Host = {
  addresses: ["127.0.0.1", "::1", "172.17.0.1", "10.0.0.5", "2001:db8::5", "fe80::1%eth0"],
  routed: ["10.0.0.5", "2001:db8::5"],
};

suite("without configuration", () => {
  test("every address serves, and those that others reach relay, the one with the default route first", async () => {
    const found = await plan(cloud);
    assert.equal(found.plan.listen.length, 6);
    assert.deepEqual(relays(found), ["10.0.0.5=10.0.0.5", "2001:db8::5=2001:db8::5", "172.17.0.1=172.17.0.1"]);
  });

  test("loopback relays where there is nothing else", async () => {
    assert.deepEqual(relays(await plan({ addresses: ["127.0.0.1", "::1", "fe80::1%eth0"] })), [
      "127.0.0.1=127.0.0.1",
      "::1=::1",
    ]);
  });

  test("clients are told one URI a transport, of the best address, and none that browsers refuse", async () => {
    const { plan: found, config } = await plan(cloud);
    assert.deepEqual(iceUris(config, found), ["stun:10.0.0.5", "turn:10.0.0.5", "turn:10.0.0.5?transport=tcp"]);
    const all = allUris(config, found);
    assert.ok(all.includes("turns:[2001:db8::5]?transport=tcp"), all.join());
    assert.ok(!all.some((uri) => /127\.0\.0\.1|fe80/.test(uri)), all.join());
  });
});

suite("an external address", () => {
  test("stands for the address with the default route, in its family; other relays of the family are not used", async () => {
    const found = await plan(cloud, { externalAddress: ["203.0.113.5"] });
    assert.deepEqual(relays(found), ["10.0.0.5=203.0.113.5", "2001:db8::5=2001:db8::5"]);
    assert.equal(iceUris(found.config, found.plan)[0], "stun:203.0.113.5");
  });

  test("in pairs stands for each", async () => {
    const flags = {
      relayAddresses: ["10.0.0.5", "172.17.0.1"],
      externalAddress: ["172.17.0.1=203.0.113.6", "10.0.0.5=203.0.113.5"],
    };
    assert.deepEqual(relays(await plan(cloud, flags)), ["10.0.0.5=203.0.113.5", "172.17.0.1=203.0.113.6"]);
  });

  test("by name is one address of each family, and stable when the resolver rotates", async () => {
    const flags = { externalAddress: ["turn.example.org"] };
    const expected = ["10.0.0.5=203.0.113.5", "2001:db8::5=2001:db8:1::1"];
    for (const answer of [
      ["203.0.113.6", "203.0.113.5", "2001:db8:1::1"],
      ["2001:db8:1::1", "203.0.113.5", "203.0.113.6"],
    ]) {
      assert.deepEqual(relays(await plan({ ...cloud, names: { "turn.example.org": answer } }, flags)), expected);
    }
  });

  test("that cannot be looked up, or has no address of the pair's family, is refused", async () => {
    await assert.rejects(plan(cloud, { externalAddress: ["turn.example.org"] }), {
      code: "external-unresolved",
      message: /ENOTFOUND/,
    });
    const names = { "turn.example.org": ["2001:db8:1::1"] };
    await assert.rejects(plan({ ...cloud, names }, { externalAddress: ["10.0.0.5=turn.example.org"] }), {
      code: "external-unresolved",
    });
  });

  test("of several chosen relays is ambiguous; of an address that does not relay, a mistake", async () => {
    const chosen = { relayAddresses: ["10.0.0.5", "172.17.0.1"], externalAddress: ["203.0.113.5"] };
    await assert.rejects(plan(cloud, chosen), { code: "external-ambiguous", message: /10\.0\.0\.5=203\.0\.113\.5/ });
    await assert.rejects(plan(cloud, { externalAddress: ["10.9.9.9=203.0.113.5"] }), { code: "external-unknown" });
  });
});

test("where only some addresses are listened on, those relay", async () => {
  assert.deepEqual(relays(await plan(cloud, { listen: ["127.0.0.1"] })), ["127.0.0.1=127.0.0.1"]);
  assert.deepEqual(relays(await plan(cloud, { listen: ["127.0.0.1", "172.17.0.1"] })), ["172.17.0.1=172.17.0.1"]);
});

test("with a name and a certificate of one's own, the name is told, for TLS too", async () => {
  const flags = { serverName: "turn.example.org", tlsCert: "c", tlsKey: "k", tlsPort: "443" };
  const { plan: found, config } = await plan(cloud, flags);
  assert.deepEqual(iceUris(config, found), [
    "stun:turn.example.org",
    "turn:turn.example.org",
    "turn:turn.example.org?transport=tcp",
    "turns:turn.example.org:443?transport=tcp",
  ]);
});

suite("NAT behaviour discovery", () => {
  const pairs = ({ plan: { discovery } }: { plan: AddressPlan }) =>
    discovery.map((pair) =>
      pair.map(({ bound, advertised }) => `${formatIp(bound)}=${formatIp(advertised)}`).join(" "),
    );
  const on = { natDiscovery: "auto" };
  const publicHost: Host = { addresses: ["127.0.0.1", "10.0.0.5", "9.9.9.9", "2a05::1", "9.9.9.8", "2a05::2"] };

  test("is served nowhere unless it is asked for", async () => {
    assert.deepEqual(pairs(await plan(publicHost)), []);
  });

  test("takes the first two public addresses of each family, or the first two that are named", async () => {
    assert.deepEqual(pairs(await plan(publicHost, on)), [
      "9.9.9.9=9.9.9.9 9.9.9.8=9.9.9.8",
      "2a05::1=2a05::1 2a05::2=2a05::2",
    ]);
    assert.deepEqual(pairs(await plan(cloud, on)), [], "private addresses may be anybody's");
    assert.deepEqual(pairs(await plan(cloud, { ...on, listen: ["127.0.0.1", "10.0.0.5", "172.17.0.1"] })), [
      "127.0.0.1=127.0.0.1 10.0.0.5=10.0.0.5",
    ]);
    assert.deepEqual(pairs(await plan(publicHost, { ...on, listen: ["9.9.9.9", "2a05::1"] })), []);
  });

  test("tells the outsides, and needs two of them", async () => {
    const listen = ["10.0.0.5", "172.17.0.1"];
    const outside = (second: string) => ({
      ...on,
      listen,
      externalAddress: ["10.0.0.5=9.9.9.9", `172.17.0.1=${second}`],
    });
    assert.deepEqual(pairs(await plan(cloud, outside("9.9.9.8"))), ["10.0.0.5=9.9.9.9 172.17.0.1=9.9.9.8"]);
    assert.deepEqual(pairs(await plan(cloud, outside("9.9.9.9"))), []);
  });

  test("wants a second port that is nobody's, and UDP", async () => {
    await assert.rejects(configOf({ ...on, alternatePort: 5349 }), /alternate-port must not be/);
    await assert.rejects(configOf({ ...on, udpPort: "off" }), /nat-discovery needs udp-port/);
    assert.equal((await configOf({ alternatePort: 5349 })).alternatePort, 5349);
  });
});
