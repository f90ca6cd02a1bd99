/** Time-limited credentials that end during a call, against Postern and coturn. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, suite, test } from "node:test";
import { formatAddress } from "../../src/core/base/address.ts";
import type { TurnCredentials } from "../../src/node/turn-client/options.ts";
import { requirePeer } from "../support/peers.ts";
import { Refused, TurnClient } from "../support/turn-client.ts";
import { until } from "../support/until.ts";
import {
  makeTrust,
  type Relay,
  reasons,
  relayNames,
  startRelay,
  startTap,
  type Trust,
  transports,
} from "./turn-client-relays.ts";
import { converse, startSession } from "./turn-client-session.ts";

const sharedSecret = "a secret of the application";

/** As an application makes them for coturn; `seconds` from now they end. */
function timeLimited(seconds: number): TurnCredentials {
  const username = `${Math.floor(Date.now() / 1000) + seconds}:bob`;
  return { username, credential: createHmac("sha1", sharedSecret).update(username).digest("base64") };
}

/** The numbers; what was said before may still come. */
function note(heard: Set<string> | undefined, data: Uint8Array): void {
  const text = `${Buffer.from(data)}`;
  if (/^\d+$/.test(text)) heard?.add(text);
}

for (const name of relayNames) {
  suite(`credentials that end, at ${name}`, { concurrency: 4 }, () => {
    const skip = requirePeer("openssl", ...(name === "coturn" ? (["turnserver"] as const) : []));
    let trust: Trust;
    let relay: Relay;
    before(async () => {
      if (skip !== false) return;
      trust = await makeTrust();
      relay = await startRelay(name, trust, { sharedSecret, postern: { "session-beyond-expiry": "0s" } });
    });
    after(async () => {
      await relay?.stop();
      await trust?.[Symbol.asyncDispose]();
    });

    test("RFC 8656 §5: another user name on an allocation is refused with 441, which is why there is a second", {
      skip,
    }, async () => {
      const tap = await startTap(relay.options.port);
      const [first, second] = [timeLimited(3600), timeLimited(7200)];
      const at = { port: tap.port };
      await using one = await TurnClient.connect({ ...at, username: first.username, password: first.credential });
      await one.allocate();
      await using two = await TurnClient.connect({ ...at, username: second.username, password: second.credential });
      await assert.rejects(two.refresh(600), (error) => error instanceof Refused && error.code === 441);
      await one.refresh(0);
      tap.close();
    });

    for (const transport of transports) {
      test(`${transport}: another allocation takes over, and packets go all the time`, { skip }, async () => {
        await using session = await startSession(relay, trust, transport, timeLimited(3600));
        const { allocation, events, byChannel } = session;
        const former = formatAddress(allocation.relayed[0] as never);
        const heard = new Set<string>();
        allocation.onData = (data) => note(heard, data);
        let said = 0;
        const speak = () => assert.ok(allocation.send(byChannel.address, Buffer.from(`${said++}`)));
        const timer = setInterval(speak, 5);
        try {
          await until("a few packets", () => heard.size > 20);
          allocation.renew(timeLimited(7200));
          await until("another", () => events.some((e) => e.type === "allocated" && e.again));
          const at = said;
          await until("a few packets more", () => heard.size > at + 20);
        } finally {
          clearInterval(timer);
        }
        await until("the last packets", () => heard.size === said);
        assert.notEqual(formatAddress(allocation.relayed[0] as never), former);
        assert.deepEqual(reasons(events), []);
        await converse(session, "after");
      });
    }

    test("after a loss, credentials that have ended are replaced by what the application is asked for", {
      skip,
    }, async () => {
      await using own = await startRelay(name, trust, { sharedSecret });
      const asked: string[] = [];
      const first = timeLimited(8);
      await using session = await startSession(own, trust, "tcp", {
        ...first,
        renewCredentials: async ({ reason }) => {
          asked.push(reason);
          return timeLimited(3600);
        },
      });
      // Long enough for a keepalive that is a Refresh.
      await until("the credentials to end", () => Date.now() / 1000 > Number.parseInt(first.username, 10) + 2);
      assert.deepEqual(asked, [], "a session may outlive its credentials, at coturn and by Postern's default");
      await own.restart("SIGKILL");
      await until("another", () => session.events.some((e) => e.type === "allocated" && e.again), { within: 60_000 });
      assert.deepEqual(asked, ["unauthenticated"]);
      await converse(session, "after");
    });

    test("after a loss, without others, the end is told with its reason", { skip }, async () => {
      await using own = await startRelay(name, trust, { sharedSecret });
      const first = timeLimited(8);
      await using session = await startSession(own, trust, "tcp", {
        ...first,
        renewCredentials: () => Promise.reject(new Error("the application is closed today")),
      });
      await until("the credentials to end", () => Date.now() / 1000 > Number.parseInt(first.username, 10) + 1);
      await own.restart("SIGKILL");
      assert.equal((await session.allocation.closed).reason, "unauthenticated");
      assert.deepEqual(reasons(session.events).slice(-2), ["not-renewed unauthenticated", "ended unauthenticated"]);
      const told = session.events.find(({ type }) => type === "not-renewed");
      assert.match(told?.type === "not-renewed" ? told.failure.why : "", /closed today/);
    });
  });
}

suite("a server that ends sessions with their credentials", { concurrency: 4 }, () => {
  const skip = requirePeer("openssl");
  let trust: Trust;
  let relay: Relay;
  before(async () => {
    if (skip !== false) return;
    trust = await makeTrust();
    relay = await startRelay("postern", trust, { sharedSecret, postern: { "session-beyond-expiry": "0s" } });
  });
  after(async () => {
    await relay?.isEmpty();
    await relay?.stop();
    await trust?.[Symbol.asyncDispose]();
  });

  test("without others, the session ends with them, and the reason is told", { skip }, async () => {
    await using session = await startSession(relay, trust, "udp", timeLimited(5));
    const { reason } = await session.allocation.closed;
    assert.equal(reason, "unauthenticated");
    assert.match(reasons(session.events).join(), /^(not-refreshed|lost) .*ended unauthenticated$/);
  });

  for (const transport of transports) {
    test(`${transport}: a call outlives credentials of eight seconds twice, and no packet is lost`, {
      skip,
    }, async () => {
      const asked: string[] = [];
      await using session = await startSession(relay, trust, transport, {
        ...timeLimited(8),
        renewCredentials: async ({ reason }) => {
          asked.push(reason);
          return timeLimited(8);
        },
      });
      const { allocation, events, byPermission, byChannel } = session;
      const heard = { [byPermission.address]: new Set<string>(), [byChannel.address]: new Set<string>() };
      allocation.onData = (data, from) => note(heard[formatAddress(from)], data);
      let said = 0;
      const timer = setInterval(() => {
        for (const peer of [byPermission, byChannel]) assert.ok(allocation.send(peer.address, Buffer.from(`${said}`)));
        said++;
      }, 20);
      try {
        const allocations = () => events.filter(({ type }) => type === "allocated").length;
        await until("two more allocations", () => allocations() >= 2, { within: 60_000 });
        const end = Date.now() + 9_000;
        await until("the credentials before to have ended", () => Date.now() > end, { within: 60_000 });
      } finally {
        clearInterval(timer);
      }
      await until("the last packets", () => Object.values(heard).every(({ size }) => size === said));
      assert.ok(
        asked.every((reason) => reason === "expiring"),
        asked.join(),
      );
      assert.deepEqual(reasons(events), []);
    });
  }
});
