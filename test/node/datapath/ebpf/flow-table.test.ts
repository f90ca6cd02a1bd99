/** What the table writes into the kernel of a flow, as the program there understands it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { blankAddress, parseIp } from "../../../../src/core/base/address.ts";
import type { Instant } from "../../../../src/core/base/machine.ts";
import { TokenBucket } from "../../../../src/core/base/token-bucket.ts";
import { Account } from "../../../../src/core/turn/server/account.ts";
import { countForwarded, type Flow } from "../../../../src/core/turn/server/flow.ts";
import { createStats } from "../../../../src/core/turn/server/stats.ts";
import { monotonicNow } from "../../../../src/node/clock.ts";
import { FlowTable } from "../../../../src/node/datapath/ebpf/flow-table.ts";
import { HostRules, type PrivilegedFilter } from "../../../../src/node/datapath/ebpf/host-rules.ts";
import { LoadedProgram } from "../../../../src/node/datapath/ebpf/loaded-program.ts";
import { createOffloadStats } from "../../../../src/node/datapath/ebpf/offload-stats.ts";
import { FLOW } from "../../../../src/node/datapath/ebpf/program.ts";
import { encodeArrival } from "../../../../src/node/datapath/ebpf/records.ts";
import { RelayProgram } from "../../../../src/node/datapath/ebpf/relay-program.ts";
import type { Routes } from "../../../../src/node/sys/routes.ts";
import { requireBpf } from "../../../support/peers.ts";
import { until } from "../../../support/until.ts";
import { bareFrame } from "./frames.ts";
import { TestRuns } from "./test-run.ts";

const skip = requireBpf();

/** Loopback, of which no frame comes in here. */
const routes = { named: [], find: () => ({ interface: 1, mtu: 1_500 }) } as unknown as Routes;
const filter: PrivilegedFilter = { generation: 1, translates: false, tracking: () => "untracked" };
const arrival = { local: parseIp("10.0.0.1", 1)!, remote: parseIp("10.0.0.2", 2)!, channel: 0 };
const departure = { local: parseIp("10.0.1.1", 3)!, remote: parseIp("10.0.1.2", 4)!, channel: 0 };

class Kernel implements Disposable {
  readonly #loaded = new LoadedProgram();
  readonly program = new RelayProgram(this.#loaded);
  readonly stats = createOffloadStats();
  readonly table: FlowTable;
  readonly #runs = new TestRuns(this.#loaded.descriptor);

  /** Why flows were left to user space. */
  readonly said: string[] = [];

  constructor(capacity?: number, ways = routes) {
    const { lease, silence } = this.program.maps;
    lease.value.u32.fill(0x7fffffff);
    lease.put();
    const rules = new HostRules(filter, silence, (why) => this.said.push(why));
    rules.haveChanged(monotonicNow());
    this.table = new FlowTable(this.program, ways, rules, this.stats, capacity);
  }

  /** A datagram of the flow, with so many bytes. */
  run(length = 100): string {
    return this.#runs.run(bareFrame(length), false).action;
  }

  [Symbol.dispose](): void {
    this.#runs.close();
    this.program.close();
    assert.deepEqual(this.said, []);
  }
}

const inSeconds = (seconds: number) => (monotonicNow() + 1_000 * seconds) as Instant;

function flowOf(uplink: TokenBucket | undefined, downlink: TokenBucket | undefined, until = inSeconds(60)): Flow {
  const account = new Account(createStats(), uplink, downlink);
  const client = {
    transport: "udp",
    listener: 1,
    local: blankAddress(),
    remote: arrival.remote,
    connection: 0,
  } as const;
  return { toward: "peer", client, channel: 0, relay: 1, peer: departure.remote, account, packets: 0, bytes: 0, until };
}

test("a flow is over in the kernel when it is above, whoever is stuck, and goes on when it is prolonged", {
  skip,
}, () => {
  using kernel = new Kernel();
  const flow = flowOf(undefined, undefined);
  kernel.table.add(flow, { arrival, departure });
  assert.equal(kernel.run(), "forward");
  flow.until = inSeconds(-0.001);
  assert.equal(kernel.run(), "forward", "the kernel has not heard of it");
  kernel.table.count();
  assert.equal(kernel.run(), "up");
  flow.until = inSeconds(60);
  kernel.table.count();
  assert.equal(kernel.run(), "forward");
  // And without a word from here.
  const short = flowOf(undefined, undefined, inSeconds(0.05));
  kernel.table.remove(flow);
  kernel.table.add(short, { arrival, departure });
  while (monotonicNow() <= short.until) kernel.run();
  assert.equal(kernel.run(), "up");
});

test("what is taken back is not forwarded when the call returns, and what was is counted", { skip }, () => {
  using kernel = new Kernel();
  const flow = flowOf(undefined, undefined);
  kernel.table.add(flow, { arrival, departure });
  for (let i = 0; i < 7; i++) kernel.run(100 + i);
  kernel.table.remove(flow);
  assert.deepEqual([flow.packets, flow.bytes, kernel.stats.flows], [7, 721, 0]);
  assert.equal(kernel.run(), "up");
});

test("a flow that comes and goes has no more of its bandwidth for it", { skip }, () => {
  using kernel = new Kernel();
  const bucket = new TokenBucket({ rate: 1_000, burst: 10_000 }, monotonicNow());
  const flow = flowOf(bucket, undefined);
  let passed = 0;
  for (let i = 0; i < 5; i++) {
    kernel.table.add(flow, { arrival, departure });
    for (let j = 0; j < 20; j++) if (kernel.run(1_000) === "forward") passed++;
    kernel.table.remove(flow);
  }
  // Ten at once, and one for each second that this has taken.
  assert.ok(passed >= 10 && passed <= 15, `${passed} passed`);
  assert.equal(bucket.take(1_000, monotonicNow()), false, "and none is left above");
});

test("from client to client both allocations' bandwidth counts", { skip }, () => {
  for (const [sending, receiving] of [
    [3_000, 100_000],
    [100_000, 3_000],
  ] as const) {
    using kernel = new Kernel();
    const bucket = (burst: number) => new TokenBucket({ rate: 1, burst }, monotonicNow());
    const sender = { ...flowOf(bucket(sending), undefined), toward: "client" as const };
    const flow = { ...flowOf(undefined, bucket(receiving)), toward: "client" as const, sender };
    kernel.table.add(flow, { arrival, departure });
    const actions = Array.from({ length: 5 }, () => kernel.run(1_000));
    assert.deepEqual(actions, ["forward", "forward", "forward", "drop", "drop"]);
    kernel.table.remove(flow);
    assert.equal(sender.account.traffic.packetsToPeers, 3);
    assert.equal(flow.account.traffic.packetsToClient, 3);
    const left = [sender.account.uplink, flow.account.downlink].map((limit) => limit?.take(1_000, monotonicNow()));
    assert.deepEqual(left, [sending > 3_000, receiving > 3_000], "above, too");
  }
});

/** As the core carries a packet of it. */
function carry(flow: Flow, bytes: number): boolean {
  if (flow.account.uplink?.take(bytes, monotonicNow()) === false) return false;
  countForwarded(flow, 1, bytes);
  return true;
}

test("what user space carries leaves less of an allocation's bandwidth for the kernel, and the other way round", {
  skip,
}, () => {
  using kernel = new Kernel();
  const flow = flowOf(new TokenBucket({ rate: 1, burst: 10_000 }, monotonicNow()), undefined);
  kernel.table.add(flow, { arrival, departure });
  const forwarded = (most: number) => Array.from({ length: most }, () => kernel.run(1_000)).indexOf("drop");
  for (let i = 0; i < 6; i++) assert.ok(carry(flow, 1_000));
  kernel.table.count();
  assert.equal(kernel.run(1_000), "forward");
  kernel.table.count();
  assert.ok(carry(flow, 1_000));
  assert.ok(carry(flow, 1_000));
  assert.equal(carry(flow, 1_000 + 1), false, "9,000 of 10,000 have gone");
  kernel.table.count();
  assert.equal(forwarded(3), 1);
  kernel.table.count();
  assert.equal(carry(flow, 1_000), false);
  assert.deepEqual(flow.account.traffic.bytesToPeers, 10_000);
});

test("what both carry at once beyond an allocation's bandwidth is owed, and waited for", { skip }, () => {
  using kernel = new Kernel();
  const bucket = new TokenBucket({ rate: 1, burst: 10_000 }, monotonicNow());
  const flow = flowOf(bucket, undefined);
  kernel.table.add(flow, { arrival, departure });
  for (let i = 0; i < 10; i++) assert.deepEqual([kernel.run(1_000), carry(flow, 1_000)], ["forward", true]);
  kernel.table.count();
  const left = bucket.left(monotonicNow());
  assert.ok(left < -9_900, `${left} are left`);
  assert.equal(kernel.run(1_000), "drop");
});

test("what an allocation's bandwidth allows owes nothing, however late it is counted", { skip }, () => {
  for (const isAbove of [true, false]) {
    using kernel = new Kernel();
    const flow = flowOf(new TokenBucket({ rate: 1_000_000, burst: 2_000 }, monotonicNow()), undefined);
    kernel.table.add(flow, { arrival, departure });
    // Half of what may pass, for many bursts' time.
    for (let i = 0, next = 0; i < 50; i++) {
      while (monotonicNow() < next);
      if (isAbove) assert.ok(carry(flow, 500));
      else assert.equal(kernel.run(500), "forward");
      next = monotonicNow() + 1;
    }
    kernel.table.count();
    assert.deepEqual([kernel.run(1_000), carry(flow, 400)], ["forward", true]);
  }
});

test("a burst that the kernel has let through is gone above as well, however long nothing came before", {
  skip,
}, async () => {
  using kernel = new Kernel();
  const flow = flowOf(new TokenBucket({ rate: 1_000, burst: 1_000 }, monotonicNow()), undefined);
  kernel.table.add(flow, { arrival, departure });
  // More than a burst's time.
  await delay(1_200);
  assert.equal(kernel.run(1_000), "forward");
  kernel.table.count();
  assert.equal(carry(flow, 900), false);
});

test("flows that end together are read once each, and not by each other", { skip }, () => {
  using kernel = new Kernel();
  const { counters } = kernel.program.maps;
  const read = counters.read.bind(counters);
  let reads = 0;
  counters.read = () => {
    reads++;
    return read();
  };
  const bucket = new TokenBucket({ rate: 1, burst: 100_000 }, monotonicNow());
  const first = flowOf(bucket, undefined);
  const flows = Array.from({ length: 100 }, (_, i) => ({ ...first, channel: 0x4000 + i }));
  for (const flow of flows) kernel.table.add(flow, { arrival: { ...arrival, channel: flow.channel }, departure });
  for (const flow of flows) kernel.table.remove(flow);
  // The last one settles what all have carried.
  assert.ok(reads <= 2 * flows.length, `${reads} reads`);
});

test("a bucket is another allocation's when nothing of its flow is on its way any more", { skip }, () => {
  using kernel = new Kernel();
  const { numbers, flows } = kernel.program.maps;
  const bucketOf = (flow: Flow) => {
    kernel.table.add(flow, { arrival, departure });
    numbers.key.bytes.set(encodeArrival(arrival));
    assert.ok(numbers.read());
    flows.key.u32.set(numbers.value.u32.subarray(0, 1));
    assert.ok(flows.read());
    return flows.value.u32[FLOW.bucket >> 2];
  };
  const limited = () => flowOf(new TokenBucket({ rate: 1, burst: 1 }, monotonicNow()), undefined);
  const [first, second] = [limited(), limited()];
  assert.equal(bucketOf(first), 1);
  kernel.table.remove(first);
  assert.equal(bucketOf(second), 2);
  kernel.table.remove(second);
  kernel.table.count();
  assert.equal(bucketOf(second), 2, "it is the same one's again");
  kernel.table.remove(second);
  for (let ticks = 0; ticks < 2; ticks++) kernel.table.count();
  assert.deepEqual([bucketOf(limited()), bucketOf(limited())], [1, 2].toReversed());
});

test("what the kernel has no room for stays in user space, which is said once, until there is room", { skip }, () => {
  using kernel = new Kernel(4);
  const flows = Array.from({ length: 10 }, () => flowOf(undefined, undefined));
  const ends = (i: number) => ({ arrival: { ...arrival, channel: 0x4000 + i }, departure });
  for (const [i, flow] of flows.entries()) kernel.table.add(flow, i === 7 ? { arrival, departure } : ends(i));
  assert.equal(kernel.stats.flows, 4);
  assert.deepEqual(kernel.said.splice(0), ["there is room for 4 flows in the kernel, and all of it is taken"]);
  assert.equal(kernel.run(), "up", "the eighth waits");
  // One that has gone while it waited takes nobody's place.
  kernel.table.remove(flows[4]!);
  for (const flow of flows.slice(0, 3)) kernel.table.remove(flow);
  for (let ticks = 0; ticks < 3; ticks++) kernel.table.count();
  assert.equal(kernel.table.goOn(), false, "there is no more that has room");
  assert.equal(kernel.stats.flows, 4);
  assert.equal(kernel.run(), "forward");
});

test("flows are looked at by turns, so that packets have theirs, and those first that have waited longest", {
  skip,
}, () => {
  const asked: number[] = [];
  let isSlow = false;
  const find = (_: unknown, { port }: { port: number }) => {
    asked.push(port);
    for (const end = monotonicNow() + 20; isSlow && monotonicNow() < end; );
    return { interface: 1, mtu: 1_500 };
  };
  using kernel = new Kernel(undefined, { named: [], find } as unknown as Routes);
  const endsAt = (port: number) => ({
    arrival: { ...arrival, remote: { ...arrival.remote, port } },
    departure: { ...departure, remote: { ...departure.remote, port } },
  });
  for (const port of [1, 2, 3]) kernel.table.add(flowOf(undefined, undefined), endsAt(port));
  asked.length = 0;
  isSlow = true;
  kernel.table.follow();
  assert.equal(kernel.table.goOn(), true);
  assert.deepEqual(asked, [1, 1], "one flow took all the time that there was");
  kernel.table.follow();
  kernel.table.enqueue(flowOf(undefined, undefined), endsAt(4));
  while (kernel.table.goOn());
  assert.deepEqual(asked, [1, 1, 2, 2, 3, 3, 1, 1, 4, 4]);
  assert.equal(kernel.stats.flows, 4);
});

test("what has no way, or is refused, is tried again after a pause that grows, whether routes change or not", {
  skip,
}, async () => {
  const nowhere = { interface: 0x7ffffff0, mtu: 1_500 };
  for (const refusal of [undefined, nowhere]) {
    let way: object | undefined = refusal;
    // Two for each try.
    const asked: Instant[] = [];
    const find = () => {
      asked.push(monotonicNow());
      return way;
    };
    using kernel = new Kernel(undefined, { named: [], find } as unknown as Routes);
    const quietly = (work: () => unknown) => {
      try {
        work();
      } catch (error) {
        assert.deepEqual([(error as { code: string }).code, way], ["ENODEV", nowhere]);
      }
    };
    const tick = () => {
      kernel.table.count();
      quietly(() => kernel.table.goOn());
    };
    quietly(() => kernel.table.add(flowOf(undefined, undefined), { arrival, departure }));
    await until("a second try", () => {
      tick();
      return asked.length === 4;
    });
    assert.equal(kernel.run(), "up");
    way = { interface: 1, mtu: 1_500 };
    await until("a third", () => {
      tick();
      return kernel.run() === "forward";
    });
    const [first = 0, , second = 0, , third = 0] = asked;
    assert.ok(second - first >= 1_000, `${second - first} ms`);
    assert.ok(third - second >= 2_000, `${third - second} ms`);
  }
});

test("a number that has become another flow's, while a packet was on its way, is no way for that packet", {
  skip,
}, () => {
  using kernel = new Kernel();
  const { numbers } = kernel.program.maps;
  kernel.table.add(flowOf(undefined, undefined), { arrival, departure });
  const other = { ...arrival, remote: { ...arrival.remote, port: 99 } };
  kernel.table.add(flowOf(undefined, undefined), { arrival: other, departure });
  assert.equal(kernel.run(), "forward");
  // What the program reads where the kernel has given the place of one flow in its hash map to the other.
  numbers.key.bytes.set(encodeArrival(arrival));
  numbers.value.u32[0] = 1;
  numbers.put();
  assert.equal(kernel.run(), "up");
  numbers.value.u32[0] = 0;
  numbers.put();
  assert.equal(kernel.run(), "forward");
});
