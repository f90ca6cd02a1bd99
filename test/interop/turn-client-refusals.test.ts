/**
 * What a server may refuse, by real servers wherever they can be brought to it: 300, 437, 438, 440, 441, 486 and 508, and
 * over TLS a redirection to a server of another name, which neither Postern nor coturn gives.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { after, before, suite, test } from "node:test";
import { createServer as createTlsServer, type Server } from "node:tls";
import { formatAddress, parseIp } from "../../src/core/base/address.ts";
import { Attribute, MessageClass } from "../../src/core/stun/registry.ts";
import { StunView } from "../../src/core/stun/view.ts";
import { StunWriter } from "../../src/core/stun/writer.ts";
import type { TurnClientEvent } from "../../src/core/turn/client/outputs.ts";
import { StreamFramer } from "../../src/core/turn/stream-framing.ts";
import type { TurnAllocationOptions } from "../../src/node/turn-client/options.ts";
import { TurnAllocation } from "../../src/node/turn-client/turn-allocation.ts";
import { requirePeer } from "../support/peers.ts";
import { freePort } from "../support/ports.ts";
import { startPeer } from "../support/turn-peers.ts";
import { until } from "../support/until.ts";
import {
  credentials,
  echoed,
  makeTrust,
  type Relay,
  reasons,
  relayNames,
  startRelay,
  startTap,
  type Trust,
  transports,
} from "./turn-client-relays.ts";

for (const name of relayNames) {
  suite(`what ${name} refuses`, { concurrency: 2 }, () => {
    const skip = requirePeer("openssl", ...(name === "coturn" ? (["turnserver"] as const) : []));
    let trust: Trust;
    before(async () => {
      if (skip === false) trust = await makeTrust();
    });
    after(() => trust?.[Symbol.asyncDispose]());

    const open = (url: string, more: Partial<TurnAllocationOptions> = {}) =>
      TurnAllocation.open({ url, ...credentials, tls: { ca: trust.ca }, ...more });

    test("486: a user who has all allocations that he may have", { skip }, async () => {
      const few = { coturn: ["--user-quota", "1"], postern: { "allocations-per-user": 1 } };
      await using relay = await startRelay(name, trust, few);
      await using one = await open(relay.url("udp"));
      assert.equal(one.relayed.length, 1);
      for (const transport of transports) {
        await assert.rejects(open(relay.url(transport)), { code: "quota-reached", message: /all the allocations/ });
      }
    });

    test("508: a server without ports", { skip }, async () => {
      const port = await freePort();
      await using relay = await startRelay(name, trust, {
        addresses: ["127.0.0.1"],
        relayPorts: { low: port, high: port },
      });
      await using one = await open(relay.url("udp"));
      assert.equal(one.relayed[0]?.port, port);
      for (const transport of transports) {
        await assert.rejects(open(relay.url(transport)), { code: "insufficient-capacity", message: /full/ });
      }
    });

    test("440: a family that the server has not", { skip }, async () => {
      await using relay = await startRelay(name, trust, { addresses: ["127.0.0.1"] });
      for (const transport of transports) {
        await assert.rejects(open(relay.url(transport), { families: "ipv6" }), { code: "family-not-supported" });
      }
    });

    test("437: the 5-tuple belongs to somebody else; other local ports are tried, and at last it is told", {
      skip,
    }, async () => {
      await using relay = await startRelay(name, trust);
      const tap = await startTap(relay.options.port);
      const url = `turn:127.0.0.1:${tap.port}?transport=udp`;
      const one = await open(url);
      await assert.rejects(open(url), { code: "allocation-mismatch" });
      // A challenge and a refusal for each local port.
      assert.deepEqual(
        tap.codes.filter((code) => code === 437),
        [437, 437, 437, 437],
      );
      await one.close();
      tap.close();
    });

    test("438: nonces that expire are replaced, and nothing is lost", { skip }, async () => {
      await using relay = await startRelay(name, trust, { coturn: ["--stale-nonce=1"] });
      const tap = await startTap(relay.options.port);
      const events: TurnClientEvent[] = [];
      const onEvent = (event: TurnClientEvent): void => void events.push(event);
      const often = { keepalive: 200, reallocation: { attempts: 100, firstDelay: 50, maxDelay: 50 }, onEvent };
      const one = await open(`turn:127.0.0.1:${tap.port}?transport=udp`, often);
      const peer = await startPeer({ echo: true });
      await one.bind(peer.address);
      // Postern's live an hour, or a minute at least: there it is a restart that makes them stale.
      if (name === "postern") await relay.restart("SIGKILL");
      await until(
        "a few of them",
        () => tap.codes.filter((code) => code === 438).length >= (name === "postern" ? 1 : 3),
        { within: 60_000 },
      );
      await echoed(one, peer.address, "after");
      if (name === "coturn") assert.deepEqual(reasons(events), []);
      await one.close();
      peer.close();
      tap.close();
    });

    for (const transport of transports) {
      test(`${transport}, 300: the client goes where it is sent, and not in circles`, { skip }, async () => {
        await using target = await startRelay(name, trust);
        const place = `127.0.0.1:${transport === "tls" ? target.options.tlsPort : target.options.port}`;
        const flag = transport === "tls" ? "--tls-alternate-server" : "--alternate-server";
        await using first = await startRelay(name, trust, {
          coturn: [flag, place],
          postern: { "alternate-servers": [place] },
        });
        await using one = await open(first.url(transport));
        assert.equal(formatAddress(one.allocated.server), place);
        const peer = await startPeer({ echo: true });
        await one.bind(peer.address);
        await echoed(one, peer.address, "at the other");
        peer.close();
        await one.close();

        const [here, there] = [await freePort(), await freePort()];
        const sends = async (own: number, to: number) => {
          const other = `127.0.0.1:${to}`;
          const port = { [transport === "tls" ? "tlsPort" : "port"]: own };
          return startRelay(name, trust, { ...port, coturn: [flag, other], postern: { "alternate-servers": [other] } });
        };
        await using circle = await sends(here, there);
        await using _back = await sends(there, here);
        const going = open(circle.url(transport));
        // Should it succeed against all expectation, the test must end.
        void going.then((unexpected) => unexpected.close()).catch(() => {});
        await assert.rejects(going, { code: "try-alternate", message: /cannot be used/ });
      });
    }
  });
}

suite("RFC 8489 §10: a redirection over TLS", () => {
  const skip = requirePeer("openssl");
  let trust: Trust;
  let other: Trust;
  let relay: Relay;
  before(async () => {
    if (skip !== false) return;
    [trust, other] = [await makeTrust(), await makeTrust("DNS:two.example")];
    relay = await startRelay("postern", other, { addresses: ["127.0.0.1"] });
  });
  after(async () => {
    await relay?.stop();
    for (const one of [trust, other]) await one?.[Symbol.asyncDispose]();
  });

  /** Sends everybody to the relay, whose certificate is said to be `domain`'s. */
  async function startRedirector(domain: string | undefined): Promise<Server> {
    const { cert, key } = trust.certificate;
    const server = createTlsServer({ cert: await readFile(cert), key: await readFile(key) }, (socket) => {
      const framer = new StreamFramer(2000);
      socket.on("error", () => {});
      socket.on("data", (data) => {
        framer.push(data);
        for (let frame = framer.next(); frame !== undefined; frame = framer.next())
          socket.write(redirection(frame, domain));
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return server;
  }

  function redirection(request: Uint8Array, domain: string | undefined): Uint8Array {
    const view = new StunView();
    assert.equal(view.decode(request), undefined);
    const writer = new StunWriter().begin(view.method, MessageClass.Error, request.subarray(4, 20)).errorCode(300);
    const place = parseIp("127.0.0.1", relay.options.tlsPort);
    assert.ok(place);
    writer.address(Attribute.AlternateServer, place);
    if (domain !== undefined) writer.text(Attribute.AlternateDomain, domain);
    return writer.finish();
  }

  test("ALTERNATE-DOMAIN is the name that the other certificate must bear, and without it the first name is", {
    skip,
  }, async () => {
    const tls = { ca: [trust.ca, other.ca] };
    for (const [domain, outcome] of [
      ["two.example", undefined],
      [undefined, /localhost/],
      ["three.example", /three\.example/],
    ] as const) {
      const server = await startRedirector(domain);
      const url = `turns:localhost:${(server.address() as AddressInfo).port}`;
      const opening = TurnAllocation.open({ url, ...credentials, tls });
      if (outcome === undefined) {
        const one = await opening;
        assert.equal(one.allocated.server.port, relay.options.tlsPort);
        await one.close();
      } else await assert.rejects(opening, { code: "connect-failed", message: outcome });
      server.close();
    }
  });
});
