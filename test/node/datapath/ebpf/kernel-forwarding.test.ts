/** What becomes of the last packets of flows whose program goes, or is closed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { blankAddress, parseIp } from "../../../../src/core/base/address.ts";
import type { Instant } from "../../../../src/core/base/machine.ts";
import { Account } from "../../../../src/core/turn/server/account.ts";
import type { Flow } from "../../../../src/core/turn/server/flow.ts";
import { createStats } from "../../../../src/core/turn/server/stats.ts";
import { KernelForwarding } from "../../../../src/node/datapath/ebpf/kernel-forwarding.ts";
import { LoadedProgram, mapNames, type ProgramHolder } from "../../../../src/node/datapath/ebpf/loaded-program.ts";
import { createOffloadStats } from "../../../../src/node/datapath/ebpf/offload-stats.ts";
import { COUNTER, MAPS } from "../../../../src/node/datapath/ebpf/program.ts";
import { possibleCpus } from "../../../../src/node/datapath/ebpf/relay-program.ts";
import { BpfMap } from "../../../../src/node/sys/bpf.ts";
import { libc } from "../../../../src/node/sys/libc.ts";
import { requireBpf } from "../../../support/peers.ts";
import { until } from "../../../support/until.ts";

const skip = requireBpf();

const ends = {
  arrival: { local: parseIp("10.0.0.1", 1)!, remote: parseIp("10.0.0.2", 2)!, channel: 0 },
  departure: { local: parseIp("10.0.1.1", 3)!, remote: parseIp("10.0.1.2", 4)!, channel: 0 },
};

function flowOf(): Flow {
  const account = new Account(createStats(), undefined, undefined);
  const client = {
    transport: "udp",
    listener: 1,
    local: blankAddress(),
    remote: blankAddress(),
    connection: 0,
  } as const;
  const until = Number.POSITIVE_INFINITY as Instant;
  return { toward: "peer", client, channel: 0, relay: 1, peer: blankAddress(), account, packets: 0, bytes: 0, until };
}

/** A program whose holder goes when it is told. */
class Holder implements Disposable {
  readonly #loaded = new LoadedProgram();
  readonly #map: (name: "counters" | "outcomes") => BpfMap;
  isHeld = true;

  constructor() {
    this.#map = (name) => {
      const descriptor = libc().dup(this.#loaded.maps[mapNames.indexOf(name)]!);
      return new BpfMap(name, descriptor, MAPS[name], possibleCpus());
    };
    this.counters = this.#map("counters");
    this.outcomes = this.#map("outcomes");
  }

  readonly counters: BpfMap;
  readonly outcomes: BpfMap;

  get holder(): ProgramHolder {
    const { maps, filter } = this.#loaded;
    const isThere = () => this.isHeld;
    const close = () => this.#loaded.close();
    return { maps, filter, isThere, close, attach: () => {}, detach: () => {}, isAttached: () => true };
  }

  /** As the program does, of the first flow. */
  forward(packets: number): void {
    const { key, value } = this.counters;
    key.u32[0] = 0;
    value.bytes.fill(0);
    value.u32[COUNTER.packets >> 2] = packets;
    value.u32[COUNTER.bytes >> 2] = 100 * packets;
    this.counters.put();
    this.outcomes.key.u32[0] = 0;
    this.outcomes.value.bytes.fill(0);
    this.outcomes.value.u32[0] = packets;
    this.outcomes.put();
  }

  [Symbol.dispose](): void {
    this.counters.close();
    this.outcomes.close();
  }
}

test("what is on its way when the holder goes is read once more, and counted once beside the next program's", {
  skip,
}, async () => {
  using first = new Holder();
  using second = new Holder();
  const holders = [first, second];
  const source = { canReturn: true, isReplaceable: true, next: () => holders.shift()?.holder, close: () => {} };
  const stats = createOffloadStats();
  let changes = 0;
  const changed = (because: Error | undefined) => {
    changes++;
    if (because === undefined) return;
    // What was taken back has been counted by now, and this was still in the program.
    assert.deepEqual([flow.packets, flow.bytes], [5, 500]);
    first.forward(7);
  };
  const forwarding = new KernelForwarding(
    source,
    stats,
    { flowFailed: assert.ifError, stoodDown: () => {}, changed },
    [],
  );
  const flow = flowOf();
  try {
    forwarding.add(flow, ends);
    first.forward(5);
    first.isHeld = false;
    await until("the last two", () => flow.packets === 7);
    assert.equal(flow.bytes, 700);
    await until("the next program", () => changes === 3);
    second.forward(4);
    await until("its packets", () => stats.datagrams.forwarded === 11);
  } finally {
    forwarding.close();
  }
});

test("what is on its way when a flow is taken back is counted before the program is closed", { skip }, () => {
  using only = new Holder();
  const source = { canReturn: false, isReplaceable: false, next: () => only.holder, close: () => {} };
  const stats = createOffloadStats();
  const reports = { flowFailed: assert.ifError, stoodDown: () => {}, changed: assert.ifError };
  const forwarding = new KernelForwarding(source, stats, reports, []);
  const flow = flowOf();
  forwarding.add(flow, ends);
  only.forward(5);
  forwarding.remove(flow);
  assert.equal(flow.packets, 5);
  only.forward(7);
  forwarding.close();
  assert.deepEqual([flow.packets, stats.datagrams.forwarded], [7, 7]);
});
