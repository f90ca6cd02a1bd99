import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIp } from "../../../../src/core/base/address.ts";
import { type BucketSize, TokenBucket } from "../../../../src/core/base/token-bucket.ts";
import { Account } from "../../../../src/core/turn/server/account.ts";
import { createStats } from "../../../../src/core/turn/server/stats.ts";
import { monotonicNow } from "../../../../src/node/clock.ts";
import { EbpfDatapath } from "../../../../src/node/datapath/ebpf/ebpf.ts";
import { LoadedProgram } from "../../../../src/node/datapath/ebpf/loaded-program.ts";
import { type Limit, Policing } from "../../../../src/node/datapath/ebpf/policing.ts";
import { ownProgram } from "../../../../src/node/datapath/ebpf/program-source.ts";
import { encodeArrival, putFlow } from "../../../../src/node/datapath/ebpf/records.ts";
import { possibleCpus, RelayProgram } from "../../../../src/node/datapath/ebpf/relay-program.ts";
import { MmsgDatapath } from "../../../../src/node/datapath/mmsg.ts";
import { heldMemory } from "../../../../src/node/sys/native-memory.ts";
import { requireBpf } from "../../../support/peers.ts";
import { datapathCompliance } from "../compliance.ts";
import { bareFrame } from "./frames.ts";
import { TestRuns } from "./test-run.ts";

const skip = requireBpf();

const reports = { flowFailed: assert.ifError, stoodDown: assert.fail, changed: assert.ifError };
const offloading = () => new EbpfDatapath(new MmsgDatapath(), ownProgram(), reports);

datapathCompliance("offloading mmsg", offloading, skip);

test("how many CPUs could be there", () => {
  assert.deepEqual(["0", "0-1", "0-127", "0-3,8-11", "0,2\n"].map(possibleCpus), [1, 2, 128, 12, 3]);
});

test("what is closed holds no memory for native code", { skip }, async () => {
  const before = heldMemory();
  const datapath = offloading();
  assert.ok(heldMemory().includes("key of map flows"));
  await datapath.close();
  await datapath.close();
  assert.deepEqual(
    heldMemory().filter((name) => !before.includes(name) && /map|netlink|instructions|license|log/.test(name)),
    [],
  );
});

test("an allocation's bandwidth in the kernel is what it is in user space", { skip }, () => {
  const loaded = new LoadedProgram();
  const program = new RelayProgram(loaded);
  const runs = new TestRuns(loaded.descriptor);
  try {
    const { lease } = program.maps;
    lease.value.u32.fill(0x7fffffff);
    lease.put();
    const policing = new Policing<number>(program.maps.buckets);
    const limitOf = (size: BucketSize) => {
      const bucket = new TokenBucket(size, monotonicNow());
      return { bucket, account: new Account(createStats(), bucket, undefined), way: "bytesToPeers" as const };
    };
    const take = (limit: Limit, user: number) => policing.takeAll([limit], user)?.[0] ?? assert.fail("there is room");
    const [rate, burst] = [100_000, 150_000];
    const limit = limitOf({ rate, burst });
    const place = take(limit, 1);
    assert.equal(place.index, 1);
    assert.equal(take(limit, 2), place, "flows of one allocation share it");
    const arrival = { local: parseIp("10.0.0.1", 1)!, remote: parseIp("10.0.0.2", 2)!, channel: 0 };
    putFlow(program.maps, encodeArrival(arrival), {
      ...arrival,
      index: 0,
      bucket: place.index,
      expires: 1n << 62n,
      passed: 0n,
      interface: 1,
      mtu: 1_500,
    });
    const frame = bareFrame(1_000);
    const begun = performance.now();
    let forwarded = 0;
    for (let i = 0; i < 1_000; i++) if (runs.run(frame, false).action === "forward") forwarded++;
    const elapsed = (performance.now() - begun) / 1_000;
    // What a burst holds, and what has come in meanwhile.
    assert.ok(forwarded >= burst / 1_000, `${forwarded} forwarded`);
    assert.ok(forwarded <= (burst + rate * elapsed) / 1_000 + 1, `${forwarded} forwarded in ${elapsed} s`);
    policing.release(place, 1);
    assert.equal(take(limitOf({ rate: 1, burst: 1 }), 3).index, 2, "one flow has it still");
    policing.release(place, 2);
    assert.equal(take(limitOf({ rate: 1, burst: 1 }), 4).index, 1);
  } finally {
    runs.close();
    program.close();
  }
});
