/** The public address of a phone's NAT changes, as providers do at night: the call goes on, and the phone rings again. */
import { describe, test } from "node:test";
import type { Network } from "../../src/lab/network.ts";
import { requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { Office } from "./sip/office.ts";
import { assertHeardOnly, connect, hangUp, heardTenths, talk } from "./sip/talk.ts";

const skip =
  requirePrivilege("root", "net-admin", "sys-admin") ||
  requirePeer("baresip", "ip", "nft", "setpriv", "unshare", "nsenter");
const topology = {
  outside: ["server"],
  sites: [
    { name: "home", hosts: ["alice"], gateways: [{ nat: "port-restricted cone" } as const] },
    { name: "office", hosts: ["bob"], gateways: [{ nat: "symmetric, random" } as const] },
  ],
};

/** Takes the router's public address away, with all mappings, and gives it another. */
async function move(network: Network, gateway: string, to: string): Promise<void> {
  const { outside } = network.plan.gateways.find(({ name }) => name === gateway)!;
  await network.at(gateway).ip(`addr del ${outside}/24 dev outside`, `addr add ${to}/24 dev outside`);
}

describe("a public address that changes", { skip, concurrency: true }, () => {
  test("during a call: it goes on with the next registration", async () => {
    await using office = await Office.open(topology, { users: ["alice", "bob"] });
    const [alice, bob] = await Promise.all([
      office.phone("alice", { user: "alice", tone: 440, expires: 20 }),
      office.phone("bob", { user: "bob", tone: 1_000 }),
    ]);
    await connect(alice, bob);
    await talk(alice, bob);
    await move(office.network, "home router", "203.0.113.111");
    const before = [await heardTenths(alice), await heardTenths(bob)];
    await until(
      "both to hear a second more",
      async () => (await heardTenths(alice)) > before[0]! + 15 && (await heardTenths(bob)) > before[1]! + 15,
      { within: 60_000 },
    );
    await hangUp(alice, bob);
    await assertHeardOnly(alice, bob);
    await assertHeardOnly(bob, alice);
  });

  test("while the phone is idle: it rings from its next registration on", async () => {
    await using office = await Office.open(topology, { users: ["alice", "bob"] });
    const [alice, bob] = await Promise.all([
      office.phone("alice", { user: "alice", tone: 440, expires: 20 }),
      office.phone("bob", { user: "bob", tone: 1_000 }),
    ]);
    await move(office.network, "home router", "203.0.113.111");
    await until("the next registration", () => office.logged("phone-moved").length > 0, { within: 60_000 });
    await connect(bob, alice);
    await talk(bob, alice);
    await hangUp(bob, alice);
    await assertHeardOnly(alice, bob);
    await assertHeardOnly(bob, alice);
  });
});
