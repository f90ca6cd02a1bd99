/**
 * Names instead of addresses (mDNS), between real kernels: on one link, across links, and where somebody on the link
 * lies about them.
 */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { Network } from "../../src/lab/network.ts";
import { requirePeer, requirePrivilege } from "../support/peers.ts";
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
});
