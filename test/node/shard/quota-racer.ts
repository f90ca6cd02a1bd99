/** A thread that takes and gives back a user's only allocation, and looks whether somebody else has it then. */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { ipv4 } from "../../../src/core/base/address.ts";
import type { Quotas } from "../../../src/core/turn/server/config.ts";
import { AllocationQuota } from "../../../src/core/turn/server/quota.ts";
import { nodeCrypto } from "../../../src/node/crypto.ts";
import { SharedCounts } from "../../../src/node/shard/shared-counts.ts";

export interface Race {
  readonly sketches: SharedArrayBuffer[];
  readonly index: number;
  readonly key: Uint8Array;
  readonly held: SharedArrayBuffer;
  readonly rounds: number;
}

export interface Outcome {
  readonly taken: number;
  readonly refused: number;
  /** How often somebody else had it too. */
  readonly doubles: number;
}

/** Where in `held` it is said how many have it. */
export const done = 0;

const quotas: Quotas = {
  allocations: 1000,
  allocationsPerUser: 1,
  allocationsPerSource: 1000,
  permissions: 1,
  channels: 1,
  newPeersPerSecond: 1,
  bytesPerSecond: 0,
};

function race({ sketches, index, key, held, rounds }: Race): Outcome {
  const holders = new Int32Array(held);
  const quota = new AllocationQuota(quotas, new SharedCounts(sketches, index, key, nodeCrypto));
  const source = ipv4(index, 1);
  let [taken, refused, doubles] = [0, 0, 0];
  for (let round = 0; round < rounds; round++) {
    if (quota.take("alice", source) !== undefined) {
      refused++;
      continue;
    }
    taken++;
    if (Atomics.add(holders, done, 1) !== 0) doubles++;
    Atomics.sub(holders, done, 1);
    quota.giveBack("alice", source);
  }
  return { taken, refused, doubles };
}

if (!isMainThread) parentPort?.postMessage(race(workerData as Race));
