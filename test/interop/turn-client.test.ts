/**
 * The TURN client on real sockets against Postern and coturn: every transport to the server, over both families, with
 * every family of relayed addresses. IPv6 has one loopback address only, which is the relay's own: there the peer is
 * another client of the same relay.
 */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type Address, formatAddress } from "../../src/core/base/address.ts";
import type { TurnClientEvent } from "../../src/core/turn/client/outputs.ts";
import { TurnAllocation } from "../../src/node/turn-client/turn-allocation.ts";
import { requireIpv6, requirePeer } from "../support/peers.ts";
import { startPeer } from "../support/turn-peers.ts";
import {
  credentials,
  echoed,
  makeTrust,
  type Relay,
  reasons,
  relayNames,
  startRelay,
  type Trust,
  transports,
} from "./turn-client-relays.ts";

const noIpv6 = requireIpv6();
/** Postern gives what it is told here, so that refreshes are seen; coturn gives ten minutes whatever it is told. */
const lifetimeSeconds = 12;

interface Case {
  readonly name: string;
  readonly url: (relay: Relay) => string;
  readonly families: "ipv4" | "ipv6" | "both";
  readonly needsIpv6: boolean;
}

const cases: Case[] = transports.flatMap((transport) =>
  (["IPv4", "IPv6"] as const).flatMap((family) =>
    (["ipv4", "ipv6", "both"] as const).map((families): Case => {
      const host = family === "IPv6" ? "[::1]" : undefined;
      const name = `${transport} over ${family}, relayed ${families}`;
      return {
        name,
        url: (relay) => relay.url(transport, host),
        families,
        needsIpv6: family === "IPv6" || families !== "ipv4",
      };
    }),
  ),
);

for (const name of relayNames) {
  suite(`the TURN client and ${name}`, { concurrency: true }, () => {
    const skip = requirePeer("openssl", ...(name === "coturn" ? (["turnserver"] as const) : []));
    let trust: Trust;
    let relay: Relay;
    let far: TurnAllocation | undefined;
    before(async () => {
      if (skip !== false) return;
      trust = await makeTrust();
      relay = await startRelay(name, trust, { maxLifetime: lifetimeSeconds });
      if (noIpv6 !== false) return;
      far = await TurnAllocation.open({ url: relay.url("udp"), ...credentials, families: "ipv6" });
      far.onData = (data, from) => void far?.send({ ...from }, data);
    });
    after(async () => {
      await far?.close();
      try {
        await relay?.isEmpty();
      } finally {
        await relay?.stop();
        await trust?.[Symbol.asyncDispose]();
      }
    });

    /** By indications, then on a channel. */
    async function converse(one: TurnAllocation, peer: string): Promise<void> {
      assert.equal(one.send(peer, Buffer.from("too early")), false);
      await one.permit(peer);
      await echoed(one, peer, "in an indication");
      await one.bind(peer);
      for (const text of ["odd", "on a channel", "x".repeat(1200)]) await echoed(one, peer, text);
    }

    function ofFamily(one: TurnAllocation, family: 4 | 6): Readonly<Address> | undefined {
      return one.relayed.find((address) => address.family === family);
    }

    for (const { name: title, url, families, needsIpv6 } of cases) {
      test(title, { skip: skip || (needsIpv6 && noIpv6) }, async () => {
        const events: TurnClientEvent[] = [];
        const onEvent = (event: TurnClientEvent): void => void events.push(event);
        const tls = { ca: trust.ca };
        await using one = await TurnAllocation.open({ url: url(relay), ...credentials, families, tls, onEvent });
        // RFC 8656's attribute for both families is unknown to coturn 4.6, and may be ignored: one family is given.
        const expected = families !== "both" ? [families === "ipv4" ? 4 : 6] : name === "coturn" ? [4] : [4, 6];
        assert.deepEqual(one.relayed.map(({ family }) => family).sort(), expected);
        const four = await startPeer({ echo: true });
        if (ofFamily(one, 4) !== undefined) await converse(one, four.address);
        if (far !== undefined && ofFamily(one, 6) !== undefined) {
          await far.permit(formatAddress(ofFamily(one, 6) as Address));
          await converse(one, formatAddress(far.relayed[0] as Address));
        }
        const peer = ofFamily(one, 4) === undefined ? formatAddress(far?.relayed[0] as Address) : four.address;
        if (name === "postern") {
          await delay((lifetimeSeconds + 1) * 1000);
          await echoed(one, peer, "past the first lifetime");
        }
        assert.deepEqual(reasons(events), []);
        await one.close();
        assert.equal((await one.closed).reason, "closed");
        four.close();
      });
    }
  });
}
