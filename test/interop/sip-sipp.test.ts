/**
 * sipp as hundreds of phones that know MD5 alone, as callers that keep to Record-Route, and as three phones of one user.
 * Debian's has no TLS: phones of our own stand in.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { Office } from "./sip/office.ts";
import { registerOverTls } from "./sip/registering.ts";
import { Sipp } from "./sip/sipp.ts";

const skip =
  requirePrivilege("root", "net-admin", "sys-admin") ||
  requirePeer("sipp", "ip", "nft", "setpriv", "unshare", "nsenter");
const count = 300;
/** Of one address; a phone sends two requests, and a stranger has fifty a second. */
const rate = 20;
const named = (prefix: string, n: number) => Array.from({ length: n }, (_, i) => `${prefix}-${i}`);
const [onUdp, onTcp, onTls] = [named("udp", count), named("tcp", count), named("tls", count)];
const topology = { outside: ["server", "udp", "tcp", "tls", "callers", "callees", "team"], sites: [] };

async function register(office: Office, place: string, port: number, user: string): Promise<void> {
  const sipp = await Sipp.start(office, place, { scenario: "register", port, users: [user] });
  await sipp.succeeded();
}

describe("sipp", { skip, concurrency: true }, () => {
  let office: Office;
  before(async () => {
    office = await Office.open(topology, { users: [...onUdp, ...onTcp, ...onTls, "caller", "callee", "team"] });
  });
  after(() => office?.[Symbol.asyncDispose]());
  /** As `postern registrations` tells them. */
  const registered = async (prefix: string) => {
    const all = await office.told<{ readonly user: string }>("registrations");
    return new Set(all.map(({ user }) => user).filter((user) => user.startsWith(`${prefix}-`)));
  };

  for (const [transport, users] of [
    ["udp", onUdp],
    ["tcp", onTcp],
  ] as const) {
    test(`RFC 7616: ${count} phones register over ${transport}`, async () => {
      const sipp = await Sipp.start(office, transport, { scenario: "register", port: 5060, users, transport, rate });
      await sipp.succeeded();
      assert.equal((await registered(transport)).size, count);
    });
  }

  test(`RFC 7616: ${count} phones register over tls`, async () => {
    await registerOverTls(office, "tls", { users: onTls, rate, within: 60 });
    assert.equal((await registered("tls")).size, count);
  });

  test("RFC 3261 §16.6: a hundred calls over UDP and TCP, whose later requests keep to Record-Route", async () => {
    await register(office, "callees", 5060, "callee");
    const each = 50;
    const answering = await Sipp.start(office, "callees", { scenario: "answer", port: 5060, calls: 2 * each });
    const calling = { scenario: "call", users: ["caller"], callee: "callee", calls: each, rate: 10 } as const;
    const callers = await Promise.all([
      Sipp.start(office, "callers", { ...calling, port: 5060 }),
      Sipp.start(office, "callers", { ...calling, port: 5061, transport: "tcp" }),
    ]);
    await Promise.all([...callers, answering].map((sipp) => sipp.succeeded()));
    // Of many lines at once the log leaves some out.
    const ended = await until("records", () => {
      const found = office.logged("call-ended").filter(({ called }) => called === "callee");
      return found.length > 0 && found;
    });
    assert.deepEqual([...new Set(ended.map(({ end }) => end))], ["hung up by caller"]);
  });

  test("RFC 3261 §16.7: of three phones two bring early media, one answers, and the others stop ringing", async () => {
    const phones = ["answer-early", "ring-early", "ring"] as const;
    for (const [i] of phones.entries()) await register(office, "team", 5_061 + i, "team");
    const ringing = await Promise.all(
      phones.map((scenario, i) => Sipp.start(office, "team", { scenario, port: 5_061 + i, calls: 1 })),
    );
    const calling = await Sipp.start(office, "callers", {
      ...{ scenario: "call-fork", port: 5070, users: ["caller"], callee: "team" },
    });
    await Promise.all([calling, ...ringing].map((sipp) => sipp.succeeded()));
  });
});
