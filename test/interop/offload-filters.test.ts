/**
 * Filters in the place of links, as before Linux 6.6, with real traffic: they outlive who is killed, and forward nothing then.
 */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { requirePeer } from "../support/peers.ts";
import { HelpedRelay } from "./helped-relay.ts";
import { channel, hasHeard, requireOffload } from "./offload-network.ts";

const skip = requireOffload() || requirePeer("setpriv", "tc");

describe("flows that filters forward", { skip, timeout: 300_000 }, () => {
  let relay: HelpedRelay;

  beforeEach(async () => {
    relay = await HelpedRelay.open();
  });
  afterEach(() => relay?.close());

  const filters = async () => {
    const shown = await Promise.all(
      ["rc", "rp"].map((device) => relay.network.relay.run(["tc", "filter", "show", "dev", device, "ingress"])),
    );
    return shown.join("").match(/postern-[0-9a-f]{8} direct-action/g)?.length ?? 0;
  };

  test("forwards, and goes on in user space when the helper is killed", async () => {
    const first = await relay.startHelper("--attach", "clsact");
    const server = await relay.startDaemon();
    await relay.isOn(server);
    const [made, other] = [await relay.allocated(server, 4, 4), await relay.allocated(server, 6, 6)];
    await relay.isForwarded(server, made);
    await relay.isForwarded(server, other);
    assert.deepEqual([await filters(), await relay.network.attached()], [2, 0]);
    process.kill(first.pid, "SIGKILL");
    await relay.isOff(server);
    assert.equal(await filters(), 2, "nobody could remove them");
    await relay.isRelayed(server, made);
    await relay.startHelper("--attach", "clsact");
    await relay.isOn(server, 2);
    await relay.goesDown(server, 4, made, other);
    await relay.isForwarded(server, made);
    assert.equal(await filters(), 2, "those that were left over are gone");
  });

  test("what both leave behind that are killed forwards no longer than its lease, and is cleared up", async () => {
    const helper = await relay.startHelper("--attach", "clsact");
    const server = await relay.startDaemon();
    await relay.isOn(server);
    const { one } = await relay.allocated(server, 4, 4);
    process.kill(helper.pid, "SIGSTOP");
    process.kill(server.pid, "SIGKILL");
    const killed = performance.now();
    process.kill(helper.pid, "SIGKILL");
    // One has shown the flow before.
    let [last, count] = [0, 1];
    for (;;) {
      const sent = performance.now();
      await one.ask({ do: "relay", to: channel, texts: [`${count++}`] });
      if (!(await hasHeard(one, count))) break;
      last = sent - killed;
    }
    assert.ok(count > 2, "the kernel went on at first");
    assert.ok(last < 3_000, `forwarded ${last} ms after both were killed`);
    assert.equal(await filters(), 2);
    await server.stop();
    await relay.startHelper("--attach", "clsact");
    const next = await relay.startDaemon();
    await relay.isOn(next);
    assert.equal(await filters(), 0);
  });
});
