/** What the main thread does with messages between shards, of which some are down, or are not who they were. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { parseIp } from "../../../src/core/base/address.ts";
import { firstClaim, type ShardMessage } from "../../../src/core/turn/server/shard.ts";
import { type Correspondent, forward } from "../../../src/node/shard/exchange.ts";
import { openEvent } from "../../../src/node/sys/event-descriptor.ts";
import { closeDescriptor } from "../../../src/node/sys/udp-socket.ts";
import { requireForeign } from "../../support/peers.ts";

const skip = requireForeign();
const bound = parseIp("192.0.2.1", 50_001)!;
const current = 2;
const claim = firstClaim(current) + 1;
const claimed: ShardMessage = { type: "claim", claim, token: new Uint8Array(8), username: "alice" };
const handedOver: ShardMessage = { type: "handed-over", claim, bound };
const returned: ShardMessage = { type: "port-returned", bound };
const refused: ShardMessage = { type: "refused", claim };

/** What the shards hear, in order, when the first tells the second something. */
function heard(message: ShardMessage, descriptor?: number, isUp = true, incarnation = current): unknown[] {
  const log: unknown[] = [];
  const shards = [0, 1].map((index): Correspondent => {
    return {
      isUp: index === 0 || isUp,
      incarnation,
      post: (sent) => log.push({ to: index, ...sent }),
      give: (given) => log.push({ to: index, given }),
    };
  });
  forward(shards, 0, { to: 1, message, descriptor });
  return log;
}

function posted(to: number, from: number, message: ShardMessage, descriptor?: number) {
  return { to, type: "fromShard", from, message, descriptor };
}

test("what is awaited is passed on, and a socket is the receiver's before that hears of it", { skip }, () => {
  for (const message of [claimed, returned, refused]) assert.deepEqual(heard(message), [posted(1, 0, message)]);
  assert.deepEqual(heard(handedOver, 77), [{ to: 1, given: 77 }, posted(1, 0, handedOver, 77)]);
});

test("for a shard that is down a claim is refused, and its socket is closed and the port said to be back", {
  skip,
}, () => {
  assert.deepEqual(heard(claimed, undefined, false), [posted(0, 1, refused)]);
  for (const message of [returned, refused]) assert.deepEqual(heard(message, undefined, false), []);
  const descriptor = openEvent();
  assert.deepEqual(heard(handedOver, descriptor, false), [posted(0, 1, returned)]);
  assert.equal(existsSync(`/proc/self/fd/${descriptor}`), false);
});

test("an answer to a shard that has died is not for its successor", { skip }, () => {
  for (const incarnation of [current - 1, current + 1]) {
    assert.deepEqual(heard(refused, undefined, true, incarnation), []);
    const descriptor = openEvent();
    assert.deepEqual(heard(handedOver, descriptor, true, incarnation), [posted(0, 1, returned)]);
    assert.equal(existsSync(`/proc/self/fd/${descriptor}`), false);
    assert.deepEqual(heard(claimed, undefined, true, incarnation), [posted(1, 0, claimed)]);
  }
  const kept = openEvent();
  heard(handedOver, kept);
  assert.equal(existsSync(`/proc/self/fd/${kept}`), true);
  closeDescriptor(kept);
});
