/** What becomes of live sessions when the server is restarted, killed or frozen: with Postern and coturn, on every transport. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { formatAddress } from "../../src/core/base/address.ts";
import { requirePeer } from "../support/peers.ts";
import { until } from "../support/until.ts";
import {
  makeTrust,
  type Relay,
  reasons,
  relayNames,
  startRelay,
  type Trust,
  transports,
} from "./turn-client-relays.ts";
import { converse, startSession } from "./turn-client-session.ts";

for (const name of relayNames) {
  suite(`the TURN client when ${name} goes`, { concurrency: true }, () => {
    const skip = requirePeer("openssl", ...(name === "coturn" ? (["turnserver"] as const) : []));
    let trust: Trust;
    before(async () => {
      if (skip === false) trust = await makeTrust();
    });
    after(() => trust?.[Symbol.asyncDispose]());

    for (const transport of transports) {
      suite(transport, { concurrency: false }, () => {
        // Over UDP nobody hears that a server goes: the next one does not know the allocation. A stream is closed.
        const expected = transport === "udp" ? "allocation-gone" : "connection-lost";
        let relay: Relay;
        before(async () => {
          if (skip === false) relay = await startRelay(name, trust);
        });
        after(() => relay?.stop());

        for (const signal of ["SIGTERM", "SIGKILL"] as const) {
          test(`restarted by ${signal}: it is told why, and all is as before, or by the policy of never it is the end`, {
            skip,
          }, async () => {
            await using session = await startSession(relay, trust, transport);
            await using last = await startSession(relay, trust, transport, { reallocation: { attempts: 0 } });
            const { allocation, events, byChannel } = session;
            const former = formatAddress(allocation.mapped);
            await relay.restart(signal);
            await until("another", () => events.some((e) => e.type === "allocated" && e.again), { within: 60_000 });
            assert.equal(reasons(events)[0], `lost ${expected}`);
            await converse(session, "after");
            assert.notEqual(formatAddress(allocation.mapped), former);
            const restored = events.findLast((e) => e.type === "channel");
            assert.equal(restored?.type === "channel" && formatAddress(restored.peer), byChannel.address);

            const { reason, why } = await last.allocation.closed;
            assert.equal(reason, expected);
            assert.match(why, /^The .*\.$/);
            assert.deepEqual(reasons(last.events), [`ended ${expected}`]);
          });
        }

        test("frozen for three seconds, nothing is lost but packets", { skip }, async () => {
          await using session = await startSession(relay, trust, transport);
          process.kill(relay.process.pid, "SIGSTOP");
          try {
            await delay(3_000);
            assert.deepEqual(reasons(session.events), []);
          } finally {
            process.kill(relay.process.pid, "SIGCONT");
          }
          await converse(session, "after");
          assert.deepEqual(reasons(session.events), []);
        });
      });
    }
  });
}
