/**
 * The program in the kernel against the reference, on generated frames of every kind of flow: what becomes of each, every
 * byte of what leaves, and what was counted.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, parseIp } from "../../../../src/core/base/address.ts";
import { LoadedProgram } from "../../../../src/node/datapath/ebpf/loaded-program.ts";
import { BUCKET, COUNTER, OUTCOME, QUALITY } from "../../../../src/node/datapath/ebpf/program.ts";
import { Qualities } from "../../../../src/node/datapath/ebpf/qualities.ts";
import { type Departure, encodeArrival, putFlow } from "../../../../src/node/datapath/ebpf/records.ts";
import { RelayProgram } from "../../../../src/node/datapath/ebpf/relay-program.ts";
import type { BpfMap } from "../../../../src/node/sys/bpf.ts";
import { RtpSource } from "../../../core/rtp/rtp-source.ts";
import { requireBpf } from "../../../support/peers.ts";
import { Dice, type FrameFlow, frameOf } from "./frames.ts";
import { type Outcome, type ReferenceFlow, relayReference, udpChecksum, type Verdict } from "./reference.ts";
import { TestRuns } from "./test-run.ts";

const framesEach = 250;
const ips = { 4: ["192.0.2.1", "198.51.100.7"], 6: ["2001:db8::1", "2001:db8:7::abcd:7"] } as const;
const never = (1n << 62n) - 1n;
const MAX_U64 = { low: 0xffffffff, high: 0x7fffffff };

interface TestFlow extends FrameFlow {
  readonly departure: Departure;
  readonly reference: ReferenceFlow;
  readonly name: string;
}

function octets(ip: Readonly<Address>): Uint8Array {
  const bytes = Buffer.alloc(16);
  for (const [i, word] of [ip.w0, ip.w1, ip.w2, ip.w3].entries()) bytes.writeInt32BE(word, 4 * i);
  return ip.family === 4 ? bytes.subarray(12) : bytes;
}

const variants = ["plain", "narrow", "roomy", "policed", "policedOther", "over", "silent", "rtp"] as const;

function* allFlows(): Generator<TestFlow> {
  let index = 1;
  for (const from of [4, 6] as const) {
    for (const to of [4, 6] as const) {
      for (const channelIn of [0, 0x4001]) {
        for (const channelOut of [0, 0x4fff]) {
          for (const variant of variants) {
            yield flowOf(`IPv${from} ${channelIn} to IPv${to} ${channelOut} ${variant}`, index++, {
              from,
              to,
              channelIn,
              channelOut,
              variant,
            });
          }
        }
      }
    }
  }
}

interface Kind {
  readonly from: 4 | 6;
  readonly to: 4 | 6;
  readonly channelIn: number;
  readonly channelOut: number;
  readonly variant: (typeof variants)[number];
}

function flowOf(name: string, index: number, { from, to, channelIn, channelOut, variant }: Kind): TestFlow {
  const [local, remote] = [parseIp(ips[from][0], 3_000 + index)!, parseIp(ips[from][1], 40_000 + index)!];
  const [outLocal, outRemote] = [parseIp(ips[to][0], 50_000 + index)!, parseIp(ips[to][1], 60_000 + index)!];
  const bucket = variant === "policed" ? 1 : variant === "roomy" || variant === "policedOther" ? 2 : 0;
  const otherBucket = variant === "policedOther" ? 1 : variant === "roomy" ? 2 : 0;
  const [expires, passed] = [variant === "over" ? 1n : never, variant === "silent" ? 0n : never];
  const mtu = variant === "narrow" ? 1_280 : 1_600;
  const rtp = variant === "rtp" ? new RtpSource(0xdeadbee0 + index, [0, 8, 33, 72, 96, 127], 8_000, 65_000) : undefined;
  const shared = { localPort: outLocal.port, remotePort: outRemote.port, channel: channelOut, mtu };
  return {
    name,
    arrival: { local, remote, channel: channelIn },
    departure: {
      local: outLocal,
      remote: outRemote,
      channel: channelOut,
      index,
      bucket,
      otherBucket,
      expires,
      passed,
      media: rtp,
      interface: 1,
      mtu,
    },
    localIp: octets(local),
    remoteIp: octets(remote),
    reference: {
      ...shared,
      local: octets(outLocal),
      remote: octets(outRemote),
      ...(bucket > 0 && { admits: variant === "roomy" }),
      isOver: variant === "over",
      isDue: variant === "silent",
      ...(rtp !== undefined && { rtp }),
    },
    ...(rtp !== undefined && { rtp }),
  };
}

function putU64(map: BpfMap, at: number, { low, high }: { low: number; high: number }): void {
  map.value.u32[at >> 2] = low;
  map.value.u32[(at >> 2) + 1] = high;
}

function setLease(program: RelayProgram, isLeased: boolean): void {
  const { lease } = program.maps;
  putU64(lease, 0, isLeased ? MAX_U64 : { low: 1, high: 0 });
  lease.put();
}

/** A minute: longer than all frames of a flow take, and shorter than any machine has been up. */
function setSilence(program: RelayProgram): void {
  const { silence } = program.maps;
  const ns = 60n * 1_000_000_000n;
  putU64(silence, 0, { low: Number(ns & 0xffffffffn), high: Number(ns >> 32n) });
  silence.put();
}

function install(program: RelayProgram, { arrival, departure, rtp }: TestFlow): void {
  if (rtp !== undefined) new Qualities(program.maps.qualities).begin(departure.index, rtp);
  putFlow(program.maps, encodeArrival(arrival), departure);
}

/** One that is empty for ever, and one that never is. */
function installBuckets(program: RelayProgram): void {
  const { buckets } = program.maps;
  for (const [index, isEmpty] of [
    [1, true],
    [2, false],
  ] as const) {
    buckets.key.u32[0] = index;
    putU64(buckets, BUCKET.arrival, isEmpty ? MAX_U64 : { low: 0, high: 0 });
    putU64(buckets, BUCKET.tolerance, isEmpty ? { low: 0, high: 0 } : { low: 0, high: 1 << 20 });
    putU64(buckets, BUCKET.picosecondsAByte, { low: 1_000_000, high: 0 });
    buckets.put();
  }
}

/** What is counted on all CPUs, by number. */
function total(map: BpfMap, index: number, cpus: number, at = 0): number {
  map.key.u32[0] = index;
  assert.ok(map.read());
  const copy = map.value.bytes.length / cpus;
  const values = Buffer.from(map.value.bytes.buffer);
  return Array.from({ length: cpus }, (_, cpu) => Number(values.readBigUInt64LE(cpu * copy + at))).reduce(
    (a, b) => a + b,
  );
}

/** Whether the checksum that a frame came with is right: only then the kernel can look whether its own stayed so. */
function hasRightSum(packet: Uint8Array): boolean {
  const bytes = Buffer.from(packet);
  const [addresses, header] = bytes[0]! >> 4 === 4 ? [bytes.subarray(12, 20), 20] : [bytes.subarray(8, 40), 40];
  const udp = Buffer.from(bytes.subarray(header));
  const said = udp.readUInt16BE(6);
  udp.writeUInt16BE(0, 6);
  const half = addresses.length / 2;
  return said === udpChecksum(addresses.subarray(0, half), addresses.subarray(half), udp);
}

test("the program in the kernel does with every frame what the reference does", { skip: requireBpf() }, (t) => {
  const loaded = new LoadedProgram();
  const program = new RelayProgram(loaded);
  const runs = new TestRuns(loaded.descriptor);
  const flows = [...allFlows()];
  const byKey = new Map(flows.map((flow) => [Buffer.from(encodeArrival(flow.arrival)).toString("latin1"), flow]));
  const counted = new Map<number, { packets: number; bytes: number }>();
  const outcomes = new Map<Outcome, number>();
  const ups = new Map<number, number>();
  let found: TestFlow | undefined;
  const find = (local: Uint8Array, localPort: number, remote: Uint8Array, remotePort: number, channel: number) => {
    const flow = byKey.get(keyOf(local, localPort, remote, remotePort, channel));
    if (flow !== undefined) found = flow;
    return flow?.reference;
  };
  const expect = ({ outcome, action, payload }: Verdict) => {
    if (found !== undefined && action === "up")
      ups.set(found.departure.index, (ups.get(found.departure.index) ?? 0) + 1);
    if (outcome !== undefined) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (payload === undefined || found === undefined) return;
    const { index } = found.departure;
    const { packets, bytes } = counted.get(index) ?? { packets: 0, bytes: 0 };
    counted.set(index, { packets: packets + 1, bytes: bytes + payload.length });
    found.rtp?.observe(payload);
  };
  try {
    installBuckets(program);
    setSilence(program);
    for (const flow of flows) install(program, flow);
    for (const [number, flow] of flows.entries()) {
      const dice = new Dice(0x5eed + number);
      for (let i = 0; i < framesEach; i++) {
        const isLeased = i % 25 !== 0;
        setLease(program, isLeased);
        const frame = frameOf(dice, flow);
        found = undefined;
        const verdict = relayReference(frame, find, isLeased);
        const what = `${flow.name}, frame ${i}: ${frame.toString("hex").slice(0, 200)}`;
        // Where the length changes the kernel forgets a sum that hardware made.
        const isSameLength = (flow.arrival.channel === 0) === (flow.departure.channel === 0);
        const hasHardwareSum = verdict.packet !== undefined && isSameLength && hasRightSum(verdict.packet);
        for (const withHardwareSum of hasHardwareSum ? [false, true] : [false]) {
          // One that has gone up is not due any more.
          if (flow.reference.isDue) install(program, flow);
          const run = runs.run(frame, withHardwareSum);
          expect(verdict);
          assert.equal(run.action, verdict.action, `${what} (${verdict.outcome})`);
          const after = run.frame.subarray(14).toString("hex");
          const meant = Buffer.from(verdict.packet ?? frame.subarray(14)).toString("hex");
          if (verdict.action !== "drop") assert.equal(after, meant, what);
        }
      }
    }
    for (const [name, index] of Object.entries(OUTCOME) as [Outcome, number][]) {
      assert.equal(total(program.maps.outcomes, index, program.cpus), outcomes.get(name) ?? 0, name);
      if (name !== "failed") assert.ok((outcomes.get(name) ?? 0) > 50, `${name} happened ${outcomes.get(name)} times`);
    }
    for (const [index, packets] of ups) {
      assert.equal(total(program.maps.counters, index, program.cpus, COUNTER.up), packets);
    }
    for (const [index, { packets, bytes }] of counted) {
      assert.equal(total(program.maps.counters, index, program.cpus, COUNTER.packets), packets);
      assert.equal(total(program.maps.counters, index, program.cpus, COUNTER.bytes), bytes);
    }
    const sources = flows.filter((flow) => flow.rtp !== undefined);
    for (const { departure, rtp = assert.fail() } of sources) {
      const map = program.maps.qualities;
      map.key.u32[0] = departure.index;
      assert.ok(map.read());
      const seen = [QUALITY.received, QUALITY.highest, QUALITY.payloadType].map((at) => map.value.u32[at >> 2]);
      assert.deepEqual(seen, [rtp.received, rtp.highest, rtp.payloadType]);
    }
    const received = sources.reduce((all, { rtp }) => all + (rtp?.received ?? 0), 0);
    assert.ok(received > 500, `${received} packets of media were forwarded`);
    t.diagnostic(JSON.stringify(Object.fromEntries(outcomes)));
  } finally {
    runs.close();
    program.close();
  }
});

function keyOf(local: Uint8Array, localPort: number, remote: Uint8Array, remotePort: number, channel: number): string {
  const address = (ip: Uint8Array, port: number): Address => {
    const words = Buffer.concat([Buffer.alloc(16 - ip.length), ip]);
    const [w0, w1, w2, w3] = [0, 4, 8, 12].map((at) => words.readInt32BE(at)) as [number, number, number, number];
    return { family: ip.length === 4 ? 4 : 6, w0, w1, w2, w3, port, text: "" };
  };
  const key = encodeArrival({ local: address(local, localPort), remote: address(remote, remotePort), channel });
  return Buffer.from(key).toString("latin1");
}
