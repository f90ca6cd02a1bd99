/** Two allocations on one relay, and what is measured between them, against Postern and coturn. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { measureEcho } from "../../src/node/probe-run.ts";
import { RelayPair } from "../../src/node/relay-pair.ts";
import { boundUdpSockets } from "../support/bound-sockets.ts";
import { startCoturn } from "../support/coturn.ts";
import { requireIpv6, requirePeer } from "../support/peers.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { startPostern } from "../support/postern.ts";
import type { RelayOptions, RelayUnderTest } from "../support/relay-under-test.ts";
import { openRoughPath, type RoughPathOptions } from "../support/rough-path.ts";
import { until } from "../support/until.ts";

const user = { name: "alice", password: "wonderland" };
const credentials = { username: user.name, credential: user.password, patience: 5_000 };

async function relayOptions(): Promise<RelayOptions> {
  return { user, relayPorts: await freePortRange(64), allowPeers: ["127.0.0.0/8"], port: await freePort() };
}

for (const [name, start] of Object.entries({ postern: startPostern, coturn: startCoturn })) {
  suite(`against ${name}`, { skip: name === "coturn" && requirePeer("turnserver") }, () => {
    let options: RelayOptions;
    let relay: RelayUnderTest;
    before(async () => {
      options = await relayOptions();
      relay = await start(options);
    });
    after(() => relay.stop());

    async function measure(path: Omit<RoughPathOptions, "port" | "server">, packets = 100, interval = 10) {
      const port = await freePort();
      await using rough = await openRoughPath({ ...path, port, server: options.port });
      const pair = await RelayPair.open({ ...credentials, url: `turn:127.0.0.1:${port}?transport=udp` });
      assert.ok(pair instanceof RelayPair);
      try {
        return { figures: await measureEcho(pair, { packets, interval, patience: 2_000 }), rough };
      } finally {
        await pair.close();
      }
    }

    test("the delay of a path is counted four times in the echo: there, back, and the same for the far end", async () => {
      const { figures } = await measure({ delay: 25 });
      const { min, median } = figures.roundTrip!;
      assert.deepEqual([figures.sent, figures.lost], [100, 0]);
      // A timer never fires early by more than a millisecond; a busy machine makes it late.
      assert.ok(min >= 96 && median < 300, `${min} ${median}`);
      assert.ok(figures.there.transit!.min >= 48 && figures.back.transit!.min >= 48);
    });

    test("loss is what the path has lost, and is told for each way", async () => {
      const { figures, rough } = await measure({ loss: 0.1, seed: 7 }, 300);
      const lost = rough.lost.toServer + rough.lost.toClient;
      assert.ok(lost > 60, `${lost}`);
      assert.equal(figures.lost, lost);
      assert.equal(figures.there.lost + figures.back.lost, lost);
      assert.ok(figures.there.lost > 20 && figures.back.lost > 20, JSON.stringify(figures));
    });

    test("RFC 3550 §6.4.1: every second packet 40 ms late is so much jitter each way", async () => {
      // Sent further apart than they are delayed, so that they keep their order on a busy machine too.
      const { figures } = await measure({ unevenness: 40 }, 40, 60);
      const steady = (await measure({}, 40, 60)).figures;
      for (const way of [figures.there, figures.back]) {
        assert.ok(way.transit!.jitter > 30 && way.transit!.jitter < 90, `${way.transit!.jitter}`);
      }
      const [uneven, even] = [figures.roundTrip!.jitter, steady.roundTrip!.jitter];
      assert.ok(uneven > 60 && uneven - even > 40, `${uneven} ${even}`);
    });

    test("wrong credentials are refused as such, and nobody there is silence", async () => {
      const url = `turn:127.0.0.1:${options.port}?transport=udp`;
      const wrong = await RelayPair.open({ ...credentials, url, credential: "looking glass" });
      assert.deepEqual(wrong, { stage: "allocate", reason: "unauthenticated", detail: undefined });
      const silent = `turn:127.0.0.1:${await freePort()}?transport=udp`;
      const late = await RelayPair.open({ ...credentials, url: silent, patience: 500 });
      assert.deepEqual(late, { stage: "allocate", reason: "timed-out", detail: undefined });
      const nobody = await RelayPair.open({ ...credentials, url: silent.replace("udp", "tcp") });
      assert.ok(!(nobody instanceof RelayPair));
      assert.equal(nobody.reason, "connect-failed");
      assert.match(nobody.detail ?? "", /ECONNREFUSED/);
      await assert.rejects(RelayPair.open({ ...credentials, url, username: "" }), { code: "bad-credentials" });
      const { relayPorts } = options;
      await until("no relay port to be left open", () => boundUdpSockets(relayPorts, relay.pid) === 0);
    });
  });
}

test("RFC 8656 §7.2: where the server has no IPv4 relay address, an IPv6 one is asked for", {
  skip: requireIpv6(),
}, async () => {
  const options = { ...(await relayOptions()), addresses: ["::1"] };
  const relay = await startPostern(options);
  try {
    const pair = await RelayPair.open({ ...credentials, url: `turn:[::1]:${options.port}?transport=tcp` });
    assert.ok(pair instanceof RelayPair, JSON.stringify(pair));
    assert.equal(pair.allocated.relayed[0]?.family, 6);
    const { lost } = await measureEcho(pair, { packets: 5, interval: 10, patience: 1_000 });
    assert.equal(lost, 0);
    await pair.close();
  } finally {
    await relay.stop();
  }
});

test("the signal ends the wait, and the measuring", async () => {
  const url = `turn:127.0.0.1:${await freePort()}?transport=udp`;
  const stop = new AbortController();
  const opening = RelayPair.open({ ...credentials, url, signal: stop.signal });
  setImmediate(() => stop.abort(new Error("enough")));
  await assert.rejects(opening, /enough/);
  const path = { send: () => stop2.abort(new Error("enough")), onBack: () => {} };
  const stop2 = new AbortController();
  const endless = { packets: Number.POSITIVE_INFINITY, interval: 10, patience: 100 };
  await assert.rejects(measureEcho(path, endless, { signal: stop2.signal }), /enough/);
});
