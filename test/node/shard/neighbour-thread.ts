/**
 * A thread with neighbours that sends packets which can be told from broken ones, and looks at those that come. A packet is
 * its number, its length, and bytes that hang on both.
 */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { ipv4 } from "../../../src/core/base/address.ts";
import { NO_FIELDS } from "../../../src/core/base/ip-fields.ts";
import { Neighbours, type RingMemories } from "../../../src/node/shard/neighbours.ts";
import { createPulse, Pulse } from "../../../src/node/shard/pulse.ts";
import { WaitLoop } from "../../../src/node/shard/wait-loop.ts";
import { SeededRandom } from "../../support/crypto.ts";

export interface Start {
  readonly memories: RingMemories;
  readonly index: number;
}

export type Order =
  /** Packets, of random lengths; again when there is no room, or not. */
  | { readonly type: "send"; readonly to: number; readonly count: number; readonly isPatient: boolean }
  /** Never comes back, and so never reads. */
  | { readonly type: "hang" }
  | { readonly type: "report" };

export interface Report {
  /** Packets that were whole. */
  readonly received: number;
  readonly broken: number;
  /** Numbers that were not higher than the one before, but for 0, with which a sender begins. */
  readonly disordered: number;
  readonly last: number;
  readonly sent: number;
  readonly full: number;
}

const longest = 65_507;
const headerLength = 8;
const noise = Buffer.from(new SeededRandom(7).bytes(longest + 256));

function put(packet: Buffer, number: number, length: number): void {
  noise.copy(packet, 0, number & 255, (number & 255) + length);
  if (length < headerLength) return;
  packet.writeUInt32LE(number, 0);
  packet.writeUInt32LE(length, 4);
}

class NeighbourThread {
  readonly #loop: WaitLoop = new WaitLoop(new Pulse(createPulse()));
  readonly #neighbours: Neighbours;
  readonly #index: number;
  readonly #packet: Buffer = Buffer.alloc(longest);
  readonly #expected: Buffer = Buffer.alloc(longest);
  readonly #random: SeededRandom;
  #number = 0;
  #report = { received: 0, broken: 0, disordered: 0, last: -1 };

  constructor({ memories, index }: Start) {
    this.#index = index;
    this.#random = new SeededRandom(index + 1);
    this.#neighbours = new Neighbours(memories, index, this.#loop, (bytes, offset, length) =>
      this.#look(Buffer.from(bytes.buffer, bytes.byteOffset + offset, length)),
    );
  }

  handle(order: Order): void {
    if (order.type === "send") this.#send(order.to, order.count, order.isPatient);
    else if (order.type === "report") {
      const { packetsOut: sent, full } = this.#neighbours.stats;
      parentPort?.postMessage({ ...this.#report, sent, full } satisfies Report);
    } else for (;;);
  }

  #send(to: number, count: number, isPatient: boolean): void {
    const { stats } = this.#neighbours;
    let left = count;
    for (let burst = 0; burst < 200 && left > 0; burst++) {
      const { full } = stats;
      const random = this.#random;
      const length = headerLength + random.below(random.oneIn(20) ? longest - headerLength + 1 : 1_400);
      put(this.#packet, this.#number, length);
      this.#neighbours.send(to, this.#packet, 0, length, ipv4(this.#index, 1), ipv4(to, 2), NO_FIELDS);
      if (isPatient && stats.full > full) break;
      this.#number++;
      left--;
    }
    if (left > 0) setImmediate(() => this.#send(to, left, isPatient));
    else parentPort?.postMessage("sent");
  }

  #look(packet: Buffer): void {
    const number = packet.readUInt32LE(0);
    put(this.#expected, number, packet.length);
    if (!packet.equals(this.#expected.subarray(0, packet.length))) this.#report.broken++;
    else this.#report.received++;
    if (number !== 0 && number <= this.#report.last) this.#report.disordered++;
    this.#report.last = number;
  }
}

if (!isMainThread) {
  const thread = new NeighbourThread(workerData as Start);
  parentPort?.on("message", (order: Order) => thread.handle(order));
  parentPort?.postMessage("ready");
}
