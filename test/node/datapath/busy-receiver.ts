/**
 * A relay's socket that many datagrams come to, on a thread of its own, and what else happens on that thread: it answers a
 * message and says when a timer has gone off. As a process it has Node's own loop, as a worker the one of shards.
 */
import { setTimeout as delay } from "node:timers/promises";
import { isMainThread, parentPort } from "node:worker_threads";
import { parseIp } from "../../../src/core/base/address.ts";
import type { DatagramSink } from "../../../src/node/datapath/datapath.ts";
import { MmsgDatapath } from "../../../src/node/datapath/mmsg.ts";
import { createPulse, Pulse } from "../../../src/node/shard/pulse.ts";
import { WaitLoop } from "../../../src/node/shard/wait-loop.ts";
import { nodeLoop } from "../../../src/node/sys/node-loop.ts";
import { until } from "../../support/until.ts";

export interface Said {
  readonly port?: number;
  /** Whether it had paused before. */
  readonly heard?: boolean;
  /** How many pauses of one turn lasted at most, until a timer went off. */
  readonly mostInTurn?: number;
}

const loop = isMainThread ? nodeLoop() : new WaitLoop(new Pulse(createPulse()));
let pauses = 0;
let ofThisTurn = 0;
let mostInTurn = 0;
const pause = (microseconds: number): boolean => {
  if (ofThisTurn === 0) queueMicrotask(() => (ofThisTurn = 0));
  const hasLasted = loop.pause(microseconds);
  if (hasLasted) {
    pauses++;
    mostInTurn = Math.max(mostInTurn, ++ofThisTurn);
  }
  return hasLasted;
};
const say = (said: Said): void => void (parentPort === null ? process.send!(said) : parentPort.postMessage(said));
const handle = (): void => say({ heard: pauses > 0 });
if (parentPort === null) process.on("message", handle);
else parentPort.on("message", handle);

const sink: DatagramSink = {
  handleBound: (_socket, { port }) => say({ port }),
  handleBindFailed: (_socket, _why, error) => {
    throw error;
  },
  handleDatagram: () => {},
};
const watch = loop.watch.bind(loop);
new MmsgDatapath({ wakeDelay: 500, loop: { watch, pause } }).bind(parseIp("127.0.0.1")!, "relay", sink);
await until("many pauses", () => pauses > 100);
await delay(50);
say({ mostInTurn });
