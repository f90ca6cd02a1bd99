/**
 * The quality of media that only the kernel has seen: of generated RTP, with loss, reordering, duplicates, wraps and leaps, the
 * program counts what the reference does, and a call's figures are those that user space would have had of the same packets.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIp } from "../../../../src/core/base/address.ts";
import { SequenceMeter } from "../../../../src/core/rtp/sequence.ts";
import { Counters } from "../../../../src/node/datapath/ebpf/counters.ts";
import { LoadedProgram } from "../../../../src/node/datapath/ebpf/loaded-program.ts";
import { COUNTER, QUALITY } from "../../../../src/node/datapath/ebpf/program.ts";
import { Qualities } from "../../../../src/node/datapath/ebpf/qualities.ts";
import { encodeArrival, putFlow } from "../../../../src/node/datapath/ebpf/records.ts";
import { RelayProgram } from "../../../../src/node/datapath/ebpf/relay-program.ts";
import { rtp } from "../../../core/rtp/packets.ts";
import { RtpSource } from "../../../core/rtp/rtp-source.ts";
import { requireBpf } from "../../../support/peers.ts";
import { Dice } from "./frames.ts";
import { sum } from "./reference.ts";
import { TestRuns } from "./test-run.ts";

const packets = 1_500;
const arrival = { local: parseIp("10.0.0.1", 1)!, remote: parseIp("10.0.0.2", 2)!, channel: 0 };
const departure = { ...arrival, bucket: 0, expires: (1n << 63n) - 1n, passed: 0n, interface: 1, mtu: 1_500 };

/** Over IPv4, with no checksum of UDP. */
function frameOf(payload: Uint8Array): Buffer {
  const frame = Buffer.concat([Buffer.alloc(42), payload]);
  frame.set([8, 0, 0x45, 0], 12);
  frame.writeUInt16BE(frame.length - 14, 16);
  frame.set([64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1], 22);
  frame.writeUInt16BE(0xffff ^ sum(frame.subarray(14, 34)), 24);
  frame.set([0, 2, 0, 1], 34);
  frame.writeUInt16BE(frame.length - 34, 38);
  return frame;
}

interface Sent {
  readonly sequence: number;
  readonly timestamp: number;
  readonly payloadType: number;
}

/** A source as networks deliver it: 20 ms a packet, or so. */
function* packetsOf(dice: Dice, first: number, clockRate: number): Generator<Sent> {
  const held: Sent[] = [];
  // Five seconds before the kernel's clock, as far as 32 bits go: what was seen by nobody would pass for jitter.
  const clock = (process.hrtime.bigint() * BigInt(clockRate)) / 1_000_000_000n;
  let [sequence, timestamp] = [first, Number(BigInt.asUintN(32, clock)) - 5 * clockRate];
  for (let i = 0; i < packets; i++) {
    sequence++;
    timestamp += Math.round(clockRate / 50) + dice.roll(clockRate / 100);
    // Silence that nobody has sent, and a clock that was set anew.
    if (dice.roll(100) === 0) timestamp += dice.pick([clockRate * 3, clockRate * 59, clockRate * 61, 2 ** 31]);
    const packet = { sequence, timestamp, payloadType: dice.pick([0, 0, 0, 101]) };
    const fate = dice.roll(20);
    if (fate === 0) continue;
    if (fate === 1) sequence += dice.pick([1, 5, 90, 1_400]);
    if (fate === 2) held.push(packet);
    else yield packet;
    if (fate === 3) yield packet;
    if (held.length > 0 && dice.roll(3) === 0) yield held.shift()!;
  }
}

for (const clockRate of [8_000, 48_000, 90_000]) {
  for (const [name, first] of [
    ["from a low number", 7],
    ["over two wraps", 65_500],
    ["over the end of 32 bits", 2 ** 32 - 700],
  ] as const) {
    test(`${clockRate} Hz, ${name}: lost, highest, jitter and payload type are as in user space`, {
      skip: requireBpf(),
    }, () => {
      const loaded = new LoadedProgram();
      const program = new RelayProgram(loaded);
      const runs = new TestRuns(loaded.descriptor);
      try {
        const { lease, counters, qualities: map } = program.maps;
        lease.value.u32.fill(0x7fffffff);
        lease.put();
        const dice = new Dice(0xab1e + clockRate + first);
        const source = new RtpSource(0xfeedf00d, [0, 101], clockRate, first);
        const seen = new SequenceMeter();
        seen.handle(source.ssrc, first, 0, 0);
        const told = new SequenceMeter();
        told.handle(source.ssrc, first, 0, 0);
        const qualities = new Qualities(map);
        qualities.begin(7, source);
        putFlow(program.maps, encodeArrival(arrival), { ...departure, index: 7, media: source });
        const counter = new Counters(counters, program.cpus);
        let [forwarded, before] = [0, 0];
        for (const { sequence, timestamp, payloadType } of packetsOf(dice, first, clockRate)) {
          const packet = rtp({ ssrc: source.ssrc, sequence, timestamp, payloadType });
          const isMedia = source.isMedia(packet);
          assert.equal(runs.run(frameOf(packet), false).action, isMedia ? "forward" : "up");
          if (!isMedia) continue;
          forwarded++;
          counter.read(7, COUNTER.packets);
          const at = counter.latest(COUNTER.last);
          source.observe(packet, BigInt(at));
          seen.handle(source.ssrc, sequence & 0xffff, timestamp / (clockRate / 1_000), at / 1e6);
          if (forwarded < 5 || dice.roll(50) === 0) {
            const { highest, jitter } = qualities.read(7, clockRate);
            assert.equal(map.value.u32[QUALITY.jitter >> 2], Number(source.scaledJitter));
            told.handleForwarded(told.source, forwarded - before, highest, jitter);
            before = forwarded;
          }
        }
        const { highest, jitter, payloadType } = qualities.read(7, clockRate);
        told.handleForwarded(told.source, forwarded - before, highest, jitter);
        assert.deepEqual([highest, payloadType], [source.highest % 2 ** 32, source.payloadType]);
        assert.equal(map.value.u32[QUALITY.jitter >> 2], Number(source.scaledJitter));
        assert.deepEqual([told.lost, told.received, told.highest], [seen.lost, seen.received, seen.highest]);
        assert.ok(seen.lost > 1_000 && forwarded > packets * 0.9);
        // The program rounds down, and to one unit of the timestamp at each packet.
        const unit = 1_000 / clockRate;
        assert.ok(Math.abs(told.jitter - seen.jitter) < 1.5 * unit, `${told.jitter} ms, and not ${seen.jitter} ms`);
      } finally {
        runs.close();
        program.close();
      }
    });
  }
}
