/** What a real phone behind a symmetric NAT hears when it calls `echo` and `milliwatt`: itself, and the tone. */
import { after, before, describe, test } from "node:test";
import type { Topology } from "../../src/lab/topology.ts";
import { requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import type { Baresip } from "./sip/baresip.ts";
import { domain, Office } from "./sip/office.ts";

const skip =
  requirePrivilege("root", "net-admin", "sys-admin") ||
  requirePeer("baresip", "ip", "nft", "setpriv", "unshare", "nsenter");

/** Tenths of a second: two seconds. */
const enough = 20;

const topology: Topology = {
  outside: ["server"],
  sites: [{ name: "home", hosts: ["alice"], gateways: [{ nat: "symmetric, random" }] }],
};

/** A tenth of a second holds 4 of 1,004 waves less than whole ones: so much of it is found at 1,000 Hz. */
const shareOfMilliwatt = 0.57;

async function hears(phone: Baresip, frequency: number, share: number): Promise<void> {
  await until(`${phone.user} to hear ${frequency} Hz`, async () => {
    const moments = (await phone.heard([frequency])).at(-1) ?? [];
    return moments.filter(({ shares }) => Math.abs(shares[0]! - share) < 0.02).length >= enough;
  });
}

describe("echo and milliwatt, called by baresip behind a symmetric NAT", { skip }, () => {
  let office: Office;
  let alice: Baresip;
  before(async () => {
    office = await Office.open(topology, { users: ["alice"] });
    alice = await office.phone("alice", { user: "alice", tone: 440 });
  });
  after(() => office?.[Symbol.asyncDispose]());

  for (const [service, frequency, share] of [
    ["echo", 440, 1],
    ["milliwatt", 1_000, shareOfMilliwatt],
  ] as const) {
    test(`${service} answers, is heard, and the call ends`, async () => {
      const skipped = alice.events.length;
      await alice.press("dial", `sip:${service}@${domain}`);
      await alice.tells("CALL_ESTABLISHED", { skip: skipped });
      await hears(alice, frequency, share);
      await alice.press("hangup");
      await until("the record of the call", () => {
        return office.logged("call-ended").some((line) => line["called"] === service || line["callee"] === service);
      });
    });
  }
});
