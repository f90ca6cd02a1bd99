/** A TURN session through whatever may happen to it, in any order: it says one last thing, and leaves nothing behind. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../../support/crypto.ts";
import { address, PEER, SECRET } from "../server/world.ts";
import { SessionPair, timeLimited } from "./session-pair.ts";

const peers = [`${PEER}:7000`, `${PEER}:7001`, "8.8.8.8:9", "127.0.0.1:5"];

/** What may happen, by seed. */
function happening(pair: SessionPair, random: SeededRandom, seconds: number): void {
  const { session } = pair;
  const peer = address(peers[random.below(peers.length)] as string);
  const path = [...pair.paths.keys()][0] ?? 1;
  const { username, password } = timeLimited(seconds + 30 + random.below(600));
  const all: (() => void)[] = [
    () => session.permit(peer, pair.now),
    () => session.bind(peer, pair.now),
    () => session.revoke(peer),
    () => session.unbind(peer),
    () => session.handleCredentials(username, password, pair.now),
    () => session.handleCredentials(username, random.oneIn(2) ? "wrong" : password, pair.now),
    () => session.handleNoCredentials(pair.now),
    () => session.handleDisconnected(path, pair.now),
    () => session.handleConnected(path, pair.now),
    () => void (pair.isDown = random.oneIn(3)),
  ];
  (all[random.below(all.length)] as () => void)();
}

test("whatever happens in whatever order, the session ends once, and paths, timers and allocations with it", () => {
  let lived = 0;
  for (let seed = 1; seed <= 300; seed++) {
    const random = new SeededRandom(seed);
    const transport = random.oneIn(2) ? "udp" : "tcp";
    const first = { ...timeLimited(60 + random.below(600)), transport } as const;
    const beyond = random.oneIn(2) ? 0 : 3600;
    const pair = new SessionPair(first, { sharedSecrets: [SECRET], sessionBeyondExpiry: beyond });
    pair.session.open(pair.now);
    let seconds = 0;
    try {
      for (let step = 0; step < 40; step++) {
        happening(pair, random, seconds);
        const wait = random.oneIn(2) ? 0 : random.below(60);
        if (wait > 0) pair.run(wait);
        seconds += wait;
      }
    } catch (error) {
      // Who has ended takes no more wishes, and says so.
      assert.equal((error as { code?: string }).code, "closed", `seed ${seed}: ${error}`);
    }
    lived += pair.relayed.length;
    pair.isDown = false;
    pair.session.close(pair.now);
    pair.run(5);
    const ends = pair.events.filter(({ type }) => type === "ended");
    assert.equal(ends.length, 1, `seed ${seed}`);
    assert.equal(pair.events.at(-1), ends[0], `seed ${seed}: nothing follows`);
    assert.deepEqual([pair.paths.size, pair.session.pollTimeout()], [0, undefined], `seed ${seed}`);
    pair.run(3700);
    assert.equal(pair.world.server.stats.allocations, 0, `seed ${seed}`);
  }
  assert.ok(lived > 600, `${lived} allocations came to be`);
});
