/** A server that does not answer for a minute, though it is there: with Postern and coturn, on every transport. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { requireLong, requirePeer } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { makeTrust, reasons, relayNames, startRelay, type Trust, transports } from "./turn-client-relays.ts";
import { converse, startSession } from "./turn-client-session.ts";

const skip = requireLong(1) || requirePeer("openssl", "turnserver");
let trust: Trust | undefined;
before(async () => {
  if (skip === false) trust = await makeTrust();
});
after(() => trust?.[Symbol.asyncDispose]());

suite("a server that is frozen", { concurrency: true }, () => {
  for (const name of relayNames) {
    for (const transport of transports) {
      test(`${name}, ${transport}: silence is told as such, and when it ends all is as before`, { skip }, async () => {
        await using relay = await startRelay(name, trust as Trust);
        await using session = await startSession(relay, trust as Trust, transport, { keepalive: 2_000 });
        const { events } = session;
        process.kill(relay.process.pid, "SIGSTOP");
        try {
          // RFC 8489 §6.2.1: a request is given up after 39.5 s.
          await until("the loss", () => events.some(({ type }) => type === "lost"), { within: 60_000 });
          assert.deepEqual(reasons(events).slice(0, 1), ["lost timed-out"]);
        } finally {
          process.kill(relay.process.pid, "SIGCONT");
        }
        await until("another", () => events.some((e) => e.type === "allocated" && e.again), { within: 60_000 });
        await converse(session, "after");
      });
    }
  }
});
