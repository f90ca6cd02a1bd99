/** A phone that nobody called for ten minutes, behind a NAT that forgets after half a minute: it rings. */
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { requireLong, requirePeer, requirePrivilege } from "../support/peers.ts";
import { Office } from "./sip/office.ts";
import { assertHeardOnly, connect, hangUp, talk } from "./sip/talk.ts";

const minutes = 10;
const skip =
  requireLong(minutes + 1) ||
  requirePrivilege("root", "net-admin", "sys-admin") ||
  requirePeer("baresip", "ip", "nft", "setpriv", "unshare", "nsenter");
/** RFC 4787 §4.3, REQ-5 asks for two minutes or more; many have less. */
const udpTimeout = 30;

test("RFC 5626 §4.4.2: the idle phone rings after ten minutes", { skip }, async () => {
  const topology = {
    outside: ["server"],
    sites: [
      { name: "home", hosts: ["alice"], gateways: [{ nat: "port-restricted cone", udpTimeout } as const] },
      { name: "office", hosts: ["bob"], gateways: [{ nat: "symmetric, random", udpTimeout } as const] },
      { name: "hotel", hosts: ["carol"], gateways: [{ nat: "restricted cone", udpTimeout } as const] },
    ],
  };
  await using office = await Office.open(topology, { users: ["alice", "bob", "carol"] });
  // They register every hour and send nothing meanwhile: only what the server does keeps them reachable.
  const [alice, bob, carol] = await Promise.all([
    office.phone("alice", { user: "alice", tone: 440, expires: 3_600 }),
    office.phone("bob", { user: "bob", tone: 1_000, expires: 3_600 }),
    office.phone("carol", { user: "carol", tone: 700, expires: 3_600 }),
  ]);
  await delay(minutes * 60_000);
  for (const [caller, callee] of [
    [alice, bob],
    [bob, carol],
    [carol, alice],
  ] as const) {
    await connect(caller, callee);
    await talk(caller, callee);
    await hangUp(callee, caller);
    await assertHeardOnly(caller, callee);
    await assertHeardOnly(callee, caller);
  }
});
