/**
 * IceConnection and werift: in both roles and in the same, with candidates told at once and one by one, directly and with
 * either side confined to a relay, by Postern's TURN server and by coturn.
 */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { IceRole } from "../../src/core/ice/config.ts";
import { IceConnection } from "../../src/node/ice/ice-connection.ts";
import { until } from "../support/until.ts";
import {
  iceServers,
  introduce,
  opposite,
  type Policy,
  type RunningRelay,
  relayPolicies,
  relays,
  roles,
  telling,
  tellings,
} from "./ice-peer.ts";
import { Werift } from "./ice-werift.ts";

interface Meeting {
  readonly role: IceRole;
  readonly theirs?: IceRole;
  readonly trickle: boolean;
  readonly policies?: readonly [ours: Policy, werift: Policy];
  /** Of a TURN server. */
  readonly port?: number;
}

/** Until both are connected, and each has heard the other. */
async function meet({ role, theirs = opposite(role), trickle, policies = ["all", "all"], port }: Meeting) {
  const resources = new AsyncDisposableStack();
  const turn = port === undefined ? {} : { port };
  const werift = resources.use(Werift.start({ address: "127.0.0.2", role: theirs, policy: policies[1], ...turn }));
  const ours = resources.use(
    await IceConnection.open({
      ...{ role, policy: policies[0], interfaces: ["lo"] },
      iceServers: port === undefined ? [] : iceServers(port),
    }),
  );
  const met = { ours, werift, [Symbol.asyncDispose]: () => resources.disposeAsync() };
  try {
    await introduce(ours, werift, trickle);
    await ours.connected({ signal: AbortSignal.timeout(60_000) });
    await werift.connected();
    await speakBothWays(ours, werift);
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
  return met;
}

async function speakBothWays(ours: IceConnection, werift: Werift): Promise<void> {
  const heard: string[] = [];
  ours.onData = (data) => heard.push(Buffer.from(data).toString());
  await until("our words at werift", () => {
    ours.send(Buffer.from("from us"));
    return werift.heard.includes("from us");
  });
  await until("werift's words", () => {
    werift.send("from werift");
    return heard.includes("from werift");
  });
}

suite("werift", () => {
  for (const role of roles) {
    for (const trickle of tellings) {
      test(`directly, ${role}, ${telling(trickle)}`, async () => {
        await using both = await meet({ role, trickle });
        assert.equal(both.ours.path()?.kind, "direct");
        assert.deepEqual([both.ours.role, both.werift.role], [role, opposite(role)]);
      });

      test(`both say ${role}, ${telling(trickle)}`, async () => {
        await using both = await meet({ role, theirs: role, trickle });
        assert.notEqual(both.ours.role, both.werift.role);
      });
    }
  }

  for (const { name, skip, start } of relays) {
    suite(`through ${name}`, { skip: skip() }, () => {
      let relay: RunningRelay;
      before(async () => {
        relay = await start();
      });
      after(() => relay.stop());

      for (const policies of relayPolicies) {
        for (const role of roles) {
          for (const trickle of tellings) {
            test(`ours ${policies[0]}, werift ${policies[1]}, ${role}, ${telling(trickle)}`, async () => {
              await using both = await meet({ role, trickle, policies, port: relay.port });
              assert.equal(both.ours.path()?.kind, "relayed");
              if (policies[1] === "relay") assert.equal(both.werift.selected?.[0], "relay");
            });
          }
        }
      }
    });
  }
});
