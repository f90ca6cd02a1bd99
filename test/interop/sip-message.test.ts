/** Instant messages between real phones behind NATs, and to who is not there. */
import { after, before, describe, test } from "node:test";
import type { Topology } from "../../src/lab/topology.ts";
import { requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import type { Baresip } from "./sip/baresip.ts";
import { domain, Office } from "./sip/office.ts";

const skip =
  requirePrivilege("root", "net-admin", "sys-admin") ||
  requirePeer("baresip", "ip", "nft", "setpriv", "unshare", "nsenter");
const topology: Topology = {
  outside: ["server"],
  sites: [
    { name: "home", hosts: ["alice"], gateways: [{ nat: "port-restricted cone" }] },
    { name: "office", hosts: ["bob"], gateways: [{ nat: "symmetric, random" }] },
  ],
};

describe("instant messages between phones behind NATs", { skip }, () => {
  let office: Office;
  let alice: Baresip;
  let bob: Baresip;
  before(async () => {
    office = await Office.open(topology, { users: ["alice", "bob", "carol"] });
    [alice, bob] = await Promise.all([
      office.phone("alice", { user: "alice", tone: 440, contact: `<sip:bob@${domain}>` }),
      office.phone("bob", { user: "bob", tone: 1_000, contact: `<sip:carol@${domain}>`, transport: "tcp" }),
    ]);
  });
  after(() => office?.[Symbol.asyncDispose]());

  test("O13: what one writes comes to the other as it was written", async () => {
    const text = "Grüße, “Bob”: 10 €?";
    await alice.press("message", text);
    // On its way in it bears the phone's own address; what it shows it does not log.
    await until("the message", () => cameTo(bob, text));
    await until("the answer", () => /SIP\/2\.0 200 OK[\s\S]*CSeq: \d+ MESSAGE/.test(alice.log));
  });

  test("RFC 3428 §7: who writes to somebody who is not there is told so", async () => {
    await bob.press("message", "Are you there?");
    await until("the answer", () => /SIP\/2\.0 480 [\s\S]*CSeq: \d+ MESSAGE/.test(bob.log));
  });
});

function cameTo({ user, log }: Baresip, text: string): boolean {
  const request = log.split(`MESSAGE sip:${user}-`)[1];
  return request?.slice(request.indexOf("\r\n\r\n")).startsWith(`\r\n\r\n${text}`) ?? false;
}
