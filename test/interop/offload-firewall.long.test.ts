/** Five minutes behind a firewall that forgets what it does not see, with the timeouts that Linux has by default. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { requireBpf, requireLong, requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { direct, firewall, mixed, OffloadWorld, peerAt, port, serveAt } from "./offload-world.ts";

const skip = requireLong(6) || requireBpf() || requirePrivilege("root", "sys-admin") || requirePeer("ip", "nft");

test("five minutes of what the kernel forwards and what it does not: nothing is lost", {
  skip,
  timeout: 420_000,
}, async (t) => {
  await using world = new OffloadWorld();
  const { client, relay, peer } = await direct(world);
  await relay.nft(firewall);
  await world.serve(relay, serveAt("10.92.0.1"));
  const asked = await world.allocated(client, `10.91.0.1:${port}`, peer, peerAt);
  await until("both flows to be in the kernel", async () => (await world.flows()) === 2);
  // Longer apart than the host remembers a connection that it has seen nothing of.
  const counted = await mixed(world, asked, peerAt, 300, 130);
  t.diagnostic(JSON.stringify(counted));
  assert.equal(counted.lost, 0, `${counted.lost} of ${counted.sent} were lost`);
  assert.ok(counted.longs >= 2 && counted.tooLong >= counted.longs);
  assert.ok(counted.passed >= 50, `${counted.passed} were shown to the host`);
});
