/**
 * A child of the stress tests, with --expose-gc: two datapaths send each other datagrams of every size, each of which comes
 * back with a header in front and the marks it had, and is compared byte for byte, while everything that can be collected is, again and again. What
 * native code still needed and JavaScript did not would show as a wrong byte, or as a crash. Datapaths come and go meanwhile.
 */
import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Address, copyAddress, parseIp } from "../../../src/core/base/address.ts";
import { ipFieldsOf } from "../../../src/core/base/ip-fields.ts";
import { MmsgDatapath, type MmsgOptions } from "../../../src/node/datapath/mmsg.ts";
import { heldMemory } from "../../../src/node/sys/native-memory.ts";
import { until } from "../../support/until.ts";
import { Recorder } from "../datapath/compliance.ts";

const end = performance.now() + 1_000 * Number(process.argv[2]);
const marks = ipFieldsOf(0xb9, 44);
const loopback = parseIp("127.0.0.1") as Address;
const channel = 0x4001;
const done = { datagrams: 0, collections: 0, datapaths: 0 };

/** Bytes that say which they are. */
function message(number: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (number + i * 7) & 255);
}

class Echo extends Recorder {
  datapath: MmsgDatapath | undefined;
  override handleDatagram(...[data, length, from, , fields]: Parameters<Recorder["handleDatagram"]>): void {
    this.datapath?.sendChannelData(this.socket!, channel, data, 0, length, from, fields);
  }
}

class Comparing extends Recorder {
  expected: Uint8Array[] = [];
  override handleDatagram(...[data, length, , , fields]: Parameters<Recorder["handleDatagram"]>): void {
    assert.equal(fields, marks);
    const expected = this.expected.shift()!;
    const header = new DataView(data.buffer, data.byteOffset);
    assert.deepEqual([header.getUint16(0), header.getUint16(2)], [channel, expected.length]);
    assert.equal(Buffer.compare(data.subarray(4, length), expected), 0);
    done.datagrams++;
  }
}

async function open<S extends Recorder>(datapath: MmsgDatapath, sink: S): Promise<S> {
  datapath.bind(loopback, "relay", sink);
  await until("the socket to open", () => sink.address);
  return sink;
}

/** Something for the collector to do, and the collector. */
function litter(): void {
  const garbage = Array.from({ length: 50 }, (_, i) => new ArrayBuffer(1 << (i % 18)));
  assert.equal(garbage.length, 50);
  globalThis.gc!();
  done.collections++;
}

async function exchange(rounds: number, merges: MmsgOptions["merges"]): Promise<void> {
  const there = new MmsgDatapath(merges && { merges });
  const here = new MmsgDatapath(merges && { merges });
  done.datapaths += 2;
  const echo = await open(there, new Echo());
  echo.datapath = there;
  const to = copyAddress(echo.address!);
  const comparing = await open(here, new Comparing());
  for (let round = 0; round < rounds; round++) {
    const length = round % 10 === 0 ? 60_000 : (round * 37) % 1_500;
    for (let i = 0; i < (length > 1_500 ? 3 : 40); i++) {
      const bytes = message(round + i, length);
      comparing.expected.push(bytes);
      assert.ok(here.send(comparing.socket!, bytes, 0, length, to, marks));
    }
    litter();
    await until("everything to come back", async () => {
      await nextTurn();
      return comparing.expected.length === 0;
    });
  }
  await Promise.all([there.close(), here.close()]);
}

while (performance.now() < end) {
  await exchange(40, undefined);
  await exchange(40, "always");
}
process.stdout.write(JSON.stringify({ ...done, memories: heldMemory() }));
