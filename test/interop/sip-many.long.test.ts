/**
 * Ten thousand users, each with a phone on UDP, on TCP and on TLS: all register with their passwords. They take their
 * time, so that others have theirs beside them.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { ShownRegistration } from "../../src/server/services/sip/shown.ts";
import { requireLong, requirePeer, requirePrivilege } from "../support/peers.ts";
import { Office } from "./sip/office.ts";
import { registerOverTls } from "./sip/registering.ts";
import { Sipp } from "./sip/sipp.ts";

const skip =
  requireLong(5) ||
  requirePrivilege("root", "net-admin", "sys-admin") ||
  requirePeer("sipp", "ip", "nft", "setpriv", "unshare", "nsenter");
const count = 10_000;
/** Each with a share of the phones, for nobody has more than fifty strangers' requests a second. */
const addressesEach = 4;
/** A second, of one address. */
const rate = 12;
const within = 300;
const users = Array.from({ length: count }, (_, i) => `user-${i}`);
const transports = ["udp", "tcp", "tls"] as const;
const topology = { outside: ["server", ...transports], sites: [] };

describe("ten thousand users", { skip, concurrency: true }, () => {
  let office: Office;
  before(async () => {
    office = await Office.open(topology, { users, flags: ["--log-level", "info"] });
    await Promise.all(
      transports.map((transport, i) =>
        office.network.at(transport).ip(...addresses(i).map((address) => `addr add ${address}/24 dev outside`)),
      ),
    );
  });
  after(() => office?.[Symbol.asyncDispose]());

  for (const [i, transport] of transports.entries()) {
    test(`RFC 7616: ${count} phones register over ${transport}`, async () => {
      await Promise.all(
        addresses(i).map(async (address, part) => {
          const share = users.filter((_, n) => n % addressesEach === part);
          if (transport === "tls") return registerOverTls(office, transport, { address, users: share, rate, within });
          const options = { scenario: "register", port: 5_060 + part, users: share, transport, address, rate } as const;
          const sipp = await Sipp.start(office, transport, { ...options, within });
          await sipp.succeeded();
        }),
      );
      const registered = await office.told<ShownRegistration>("registrations");
      const mine = registered.filter((one) => one.transport === transport);
      assert.equal(new Set(mine.map(({ user }) => user)).size, count);
    });
  }
});

function addresses(i: number): string[] {
  return Array.from({ length: addressesEach }, (_, part) => `203.0.113.${100 + 10 * i + part}`);
}
