/** Postern is restarted while two real phones talk: they hang up and hold as ever, and holding brings the sound back. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ShownCall } from "../../src/server/services/sip/shown.ts";
import { requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { Office } from "./sip/office.ts";
import { connect, hangUp, holdAndResume, talk } from "./sip/talk.ts";

const skip =
  requirePrivilege("root", "net-admin", "sys-admin") ||
  requirePeer("baresip", "ip", "nft", "setpriv", "unshare", "nsenter");
const topology = {
  outside: ["server"],
  sites: [
    { name: "home", hosts: ["alice"], gateways: [{ nat: "port-restricted cone" } as const] },
    { name: "office", hosts: ["bob"], gateways: [{ nat: "symmetric, random" } as const] },
  ],
};

describe("a restart during a call", { skip }, () => {
  for (const transport of ["udp", "tcp"] as const) {
    for (const who of ["caller", "callee"] as const) {
      test(`over ${transport}: when the ${who} holds and resumes there is sound again, and the other can hang up`, async () => {
        await using office = await Office.open(topology, { users: ["alice", "bob"] });
        const [alice, bob] = await Promise.all([
          office.phone("alice", { user: "alice", tone: 440, transport, expires: 20 }),
          office.phone("bob", { user: "bob", tone: 1_000, transport, expires: 20 }),
        ]);
        await connect(alice, bob);
        await talk(alice, bob);
        await office.restart();
        // On UDP they have not noticed anything.
        const areBack = () => transport === "udp" || new Set(moved(office)).size === 2;
        await until("both to register again", areBack, { within: 60_000 });
        const [holder, other] = who === "caller" ? [alice, bob] : [bob, alice];
        await holdAndResume(office.network, holder, other);
        const [call] = await office.told<ShownCall>("calls");
        assert.deepEqual([call?.caller.name, call?.callee?.name, call?.isResumed], ["alice", "bob", true]);
        await hangUp(other, holder);
      });
    }
  }
});

/** Whose phone has come by another connection, as the server says that runs now. */
function moved(office: Office): unknown[] {
  return office.logged("phone-moved").map(({ aor }) => aor);
}
