/**
 * Names instead of addresses (mDNS), between real kernels: on one link, across links, and where somebody on the link
 * lies about them.
 */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { Network } from "../../src/lab/network.ts";
import { serverAddresses } from "../../src/lab/topology.ts";
import { requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { NamesEnd } from "./ice-names.ts";
import { hostOf } from "./networks.ts";

const skip =
  requirePrivilege("root", "net-admin", "sys-admin") || requirePeer("ip", "nft", "setpriv", "unshare", "nsenter");
const name = /\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.local\b/g;
const byName = { mdns: true };

suite("names of candidates", { skip }, () => {
  let network: Network;
  const started: NamesEnd[] = [];
  const at = async (place: string): Promise<NamesEnd> => {
    const end = await NamesEnd.start(network, place);
    started.push(end);
    return end;
  };

  before(async () => {
    network = await Network.build({
      outside: ["server", "eve"],
      ipv6: true,
      sites: [
        { name: "home", hosts: ["alice", "bob", "mallory"], gateways: [{ nat: "port-restricted cone" }] },
        { name: "office", hosts: ["carol"], gateways: [{ nat: "port-restricted cone" }] },
      ],
    });
  });
  after(async () => {
    await Promise.all(started.map((end) => end.stop()));
    await network?.[Symbol.asyncDispose]();
  });

  async function describe(place: string, options = {}): Promise<[NamesEnd, string]> {
    const end = await at(place);
    await end.ask({ do: "open", options });
    return [end, (await end.ask({ do: "describe" })).description ?? ""];
  }

  test("two on one link connect by names, and neither description has an address", async () => {
    const [alice, alices] = await describe("alice", byName);
    const [bob, bobs] = await describe("bob", { ...byName, role: "controlled" });
    for (const [place, text] of [
      ["alice", alices],
      ["bob", bobs],
    ] as const) {
      assert.equal(text.match(name)?.length, 1, text);
      assert.ok(!text.includes(network.addressOf(place)), text);
      assert.doesNotMatch(text, /\d+\.\d+\.\d+\.\d+|raddr/);
    }
    await bob.ask({ do: "meet", description: alices });
    await alice.ask({ do: "meet", description: bobs });
    for (const [end, peer] of [
      [alice, "bob"],
      [bob, "alice"],
    ] as const) {
      const path = await end.ask({ do: "connect" });
      assert.deepEqual([path.kind, hostOf(path.to)], ["direct", network.addressOf(peer)]);
    }
    await Promise.all([alice.stop(), bob.stop()]);
  });

  test("candidates that are told one by one are looked up, and hidden, like those of a description", async () => {
    const [alice] = await describe("alice", byName);
    const [bob, bobs] = await describe("bob", { ...byName, role: "controlled" });
    const { description = "", lines = [] } = await alice.ask({ do: "describe" });
    assert.match(lines[0] ?? "", /^candidate:\S+ 1 udp \d+ [-0-9a-f]{36}\.local \d+ typ host ufrag \S+$/);
    await bob.ask({ do: "meet", description: description.replaceAll(/a=candidate.*\r\n/g, "") });
    for (const line of lines) await bob.ask({ do: "candidate", line });
    await until("Alice's candidate", async () => {
      const { remote = [] } = await bob.ask({ do: "remote" });
      return remote.includes(`host ${network.addressOf("alice")}`);
    });
    await alice.ask({ do: "meet", description: bobs });
    assert.equal((await bob.ask({ do: "connect" })).kind, "direct");
    await Promise.all([alice.stop(), bob.stop()]);
  });

  test("IPv6 hosts are found too, each by its own name", async () => {
    const [eve, eves] = await describe("eve", byName);
    const [server, servers] = await describe("server", { ...byName, role: "controlled" });
    assert.equal(eves.match(name)?.length, 2, eves);
    await server.ask({ do: "meet", description: eves });
    await until("both addresses", async () => {
      const { remote = [] } = await server.ask({ do: "remote" });
      const [ipv4, ipv6] = network.plan.hosts.find((host) => host.name === "eve")!.addresses;
      return remote.includes(`host ${ipv4}`) && remote.includes(`host ${ipv6}`);
    });
    await eve.ask({ do: "meet", description: servers });
    assert.equal((await server.ask({ do: "connect" })).kind, "direct");
    await Promise.all([eve.stop(), server.stop()]);
  });

  test("on another link nobody answers: that is said, and the path is found otherwise", async () => {
    const stun = await at("server");
    const [url] = serverAddresses.map((address) => `stun:${address}`);
    await stun.ask({ do: "stun", address: serverAddresses[0] });
    const options = { ...byName, iceServers: [{ urls: url! }] };
    const [alice, alices] = await describe("alice", options);
    const [carol, carols] = await describe("carol", { ...options, role: "controlled" });
    assert.match(alices, /typ srflx raddr 0\.0\.0\.0 rport 9/);
    assert.ok(!alices.includes(network.addressOf("alice")), alices);
    await carol.ask({ do: "meet", description: alices });
    await alice.ask({ do: "meet", description: carols });
    const [path, failures] = [await alice.ask({ do: "connect" }), await alice.ask({ do: "failures", count: 1 })];
    assert.deepEqual([path.kind, path.type], ["direct", "srflx"]);
    assert.deepEqual(failures.failures, [`Nobody on this link answers for ${carols.match(name)?.[0]}.`]);
    await Promise.all([alice.stop(), carol.stop(), stun.stop()]);
  });

  for (const [what, addresses, why] of [
    ["this host itself", ["127.0.0.1"], /^127\.0\.0\.1 was answered for .*, where no neighbour can be\.$/],
    ["a group", ["224.0.0.1"], /where no neighbour can be/],
    ["several addresses", ["192.0.2.1", "192.0.2.2"], /^Several addresses were answered/],
  ] as const) {
    test(`a neighbour who answers with ${what} is not believed`, async () => {
      const mallory = await at("mallory");
      await mallory.ask({ do: "lie", addresses });
      const [carol, carols] = await describe("carol", byName);
      const [alice] = await describe("alice", byName);
      await alice.ask({ do: "meet", description: carols });
      const { failures = [] } = await alice.ask({ do: "failures", count: 1 });
      assert.match(failures[0] ?? "", why);
      const { remote } = await alice.ask({ do: "remote" });
      assert.deepEqual(remote, []);
      await Promise.all([alice.stop(), carol.stop(), mallory.stop()]);
    });
  }

  test("where the port is another's alone, no name is offered and none found, and no address is told instead", async () => {
    const [hog, alices] = [await at("alice"), await at("alice")];
    await hog.ask({ do: "hog" });
    await alices.ask({ do: "open", options: byName });
    const { description = "", events = [] } = await alices.ask({ do: "describe" });
    assert.ok(events.includes("names-not-offered"), events.join());
    assert.doesNotMatch(description, /candidate:/);
    const [bob, bobs] = await describe("bob", byName);
    await alices.ask({ do: "meet", description: bobs });
    const { failures = [] } = await alices.ask({ do: "failures", count: 1 });
    assert.match(failures[0] ?? "", /^mDNS cannot be used here: .*EADDRINUSE/);
    await Promise.all([hog.stop(), alices.stop(), bob.stop()]);
  });

  test("who may use relays alone looks nothing up", async () => {
    const [bob, bobs] = await describe("bob", byName);
    const [alice, alices] = await describe("alice", { ...byName, policy: "relay" });
    assert.doesNotMatch(alices, /candidate:/);
    await alice.ask({ do: "meet", description: bobs });
    assert.deepEqual((await alice.ask({ do: "remote" })).remote, []);
    await Promise.all([alice.stop(), bob.stop()]);
  });
});
