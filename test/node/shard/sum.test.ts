import assert from "node:assert/strict";
import { test } from "node:test";
import { continued, noStats, remains, sumStats } from "../../../src/node/shard/sum.ts";
import type { HostStats } from "../../../src/node/turn-service.ts";

function counted(): HostStats {
  const { server, datapath, ...others } = noStats();
  return {
    ...others,
    server: { ...server, allocations: 3, permissions: 4, channels: 5, allocationsTotal: 7 },
    datapath: {
      ...datapath,
      sockets: 9,
      packetsIn: 100,
      unreceived: { listener: 10, requests: 20, relay: 30 },
    },
  };
}

test("what has ended with a worker is not counted any more, and what it had counted is", () => {
  const { server, datapath } = remains(counted());
  const { allocations, permissions, channels, allocationsTotal } = server;
  assert.deepEqual([allocations, permissions, channels, allocationsTotal], [0, 0, 0, 7]);
  assert.deepEqual([datapath.sockets, datapath.packetsIn], [0, 100]);
});

test("losses of listeners, which outlive their worker, are counted once", () => {
  // The next worker hears of the same sockets what the kernel has counted since they were opened.
  const { datapath } = sumStats([remains(counted()), counted()]);
  assert.deepEqual(datapath.unreceived, { listener: 10, requests: 20, relay: 60 });
});

test("losses of listeners are not forgotten while there is no worker, nor when the next one has fewer of them", () => {
  const gap = continued(noStats(), counted());
  assert.deepEqual(gap.datapath.unreceived, { listener: 10, requests: 20, relay: 0 });
  const fewer = { ...counted().datapath, unreceived: { listener: 4, requests: 25, relay: 1 } };
  const { unreceived } = continued({ ...noStats(), datapath: fewer }, gap).datapath;
  assert.deepEqual(unreceived, { listener: 10, requests: 25, relay: 1 });
});
