/** By which interfaces the kernel forwards, and by which it does not. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { requireBpf, requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { direct, echoes, OffloadWorld, peerAt, port, serveAt } from "./offload-world.ts";

const skip = requireBpf() || requirePrivilege("root", "sys-admin") || requirePeer("ip");

describe("offload by the interfaces that there are", { skip, timeout: 350_000 }, () => {
  test("a tunnel without a link layer: user space relays", async () => {
    await using world = new OffloadWorld();
    const { client, relay, peer } = await direct(world);
    await relay.ip("tuntap add dev t0 mode tun", "addr add 10.94.0.1/24 dev t0", "link set t0 up");
    const script = fileURLToPath(new URL("tun-echo.ts", import.meta.url));
    const tunnel = await relay.start([process.execPath, script, "t0"]);
    await tunnel.says("ready");
    await world.serve(relay, serveAt("10.94.0.1"));
    const asked = await world.allocated(client, `10.91.0.1:${port}`, peer, peerAt);
    await asked.one.ask({ do: "bindChannel", channel: 0x4001, peer: "10.94.0.2:7" });
    await asked.one.ask({ do: "relay", to: 0x4001, texts: ["one", "two"] });
    await until("both to come back", async () => (await asked.one.ask({ do: "heard" })).heard?.length === 2);
    assert.equal(await world.flows(), 2, "those of the other channel");
  });

  test("packets that come in by another interface than they leave by: user space, or the kernel where both are named", async () => {
    for (const [interfaces, flows] of [
      [[], 0],
      [["rp", "rc"], 0],
      [["rp", "rc", "rc1"], 2],
    ] as const) {
      await using world = new OffloadWorld();
      const { client, relay, peer } = await direct(world);
      await world.link(
        { place: client, device: "c1", addresses: ["10.95.0.2/24"] },
        { place: relay, device: "rc1", addresses: ["10.95.0.1/24"] },
      );
      await client.ip("route add 10.91.0.1 via 10.95.0.1 dev c1 src 10.91.0.2");
      for (const place of [client, relay]) {
        await place.set(
          "net.ipv4.conf.all.rp_filter=0",
          "net.ipv4.conf.rc1.rp_filter=0",
          "net.ipv4.conf.c0.rp_filter=0",
        );
      }
      const options = serveAt("10.92.0.1");
      await world.serve(relay, { ...options, postern: { ...options.postern, "offload-interfaces": interfaces } });
      const asked = await world.allocated(client, `10.91.0.1:${port}`, peer, peerAt);
      await until("both flows to be where they stay", async () => {
        await echoes(asked, 10);
        return (await world.flows()) === flows;
      });
      assert.equal(await echoes(asked, 20), 20);
      assert.equal(await world.flows(), flows);
      if (flows > 0) assert.ok((await world.forwarded()) >= 40);
    }
  });

  test("an interface that is not named is left alone", async () => {
    await using world = new OffloadWorld();
    const { client, relay, peer } = await direct(world);
    const options = serveAt("10.92.0.1");
    await world.serve(relay, { ...options, postern: { ...options.postern, "offload-interfaces": ["rp", "none"] } });
    const asked = await world.allocated(client, `10.91.0.1:${port}`, peer, peerAt);
    assert.equal(await echoes(asked, 20), 20);
    assert.deepEqual([await world.flows(), await world.forwarded()], [0, 0]);
    assert.match(world.log, /"interfaces":\["rp"\].*"offload-is-on"/);
    assert.match(world.log, /no Ethernet interface has the name none \(offload-interfaces\)/);
  });
});
