/**
 * IceConnection and node-datachannel (libjuice), in both roles at once: a caller's data channel leads through two connections
 * of ours to a callee, `caller ⇄ (controlled) ours (controlling) ⇄ callee`, so every word has passed two paths. With
 * candidates told at once and one by one, directly and with either side confined to a relay, by Postern and by coturn.
 */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { IceRole } from "../../src/core/ice/config.ts";
import { IceConnection } from "../../src/node/ice/ice-connection.ts";
import { requireBinary } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { NodeDataChannel } from "./ice-node-datachannel.ts";
import {
  iceServers,
  introduce,
  type Policy,
  type RunningRelay,
  relayPolicies,
  relays,
  telling,
  tellings,
} from "./ice-peer.ts";

interface Meeting {
  readonly trickle: boolean;
  readonly policies?: readonly [ours: Policy, theirs: Policy];
  /** Ours, towards the caller and towards the callee. */
  readonly roles?: readonly [IceRole, IceRole];
  /** Of a TURN server. */
  readonly port?: number;
}

/** Until the caller and the callee have heard each other. */
async function meet({ trickle, policies = ["all", "all"], roles = ["controlled", "controlling"], port }: Meeting) {
  const resources = new AsyncDisposableStack();
  const turn = port === undefined ? {} : { port };
  const peer = async (role: IceRole) =>
    resources.use(await NodeDataChannel.start({ address: "127.0.0.2", role, policy: policies[1], ...turn }));
  const own = async (role: IceRole) =>
    resources.use(
      await IceConnection.open({
        ...{ role, policy: policies[0], interfaces: ["lo"] },
        iceServers: port === undefined ? [] : iceServers(port),
      }),
    );
  try {
    const [caller, callee] = [await peer("controlling"), await peer("controlled")];
    const ours = [await own(roles[0]), await own(roles[1])] as const;
    ours[0].onData = handOn(ours[1]);
    ours[1].onData = handOn(ours[0]);
    await Promise.all([introduce(ours[0], caller, trickle), introduce(ours[1], callee, trickle)]);
    const signal = AbortSignal.timeout(15_000);
    await Promise.all(ours.map((one) => one.connected({ signal })));
    await speakBothWays(caller, callee);
    return { ours, peers: [caller, callee], [Symbol.asyncDispose]: () => resources.disposeAsync() };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

/** As soon as there is a path to hand it on: DTLS repeats what is lost after a second at the earliest. */
function handOn(to: IceConnection): (data: Uint8Array) => void {
  return (data) => {
    const own = Buffer.from(data);
    to.connected().then(
      () => to.send(own),
      () => {}, // The test is over.
    );
  };
}

async function speakBothWays(caller: NodeDataChannel, callee: NodeDataChannel): Promise<void> {
  await Promise.all([caller.opened(), callee.opened()]);
  caller.send("from the caller");
  await until("the caller's words", () => callee.heard.includes("from the caller"));
  callee.send("from the callee");
  await until("the callee's words", () => caller.heard.includes("from the callee"));
}

suite("node-datachannel", { skip: requireBinary("node-datachannel") }, () => {
  // Its threads outlive its connections.
  after(async () => (await import("node-datachannel")).cleanup());

  for (const trickle of tellings) {
    test(`directly, ${telling(trickle)}`, async () => {
      await using met = await meet({ trickle });
      assert.deepEqual(
        met.ours.map((one) => [one.path()?.kind, one.role]),
        [
          ["direct", "controlled"],
          ["direct", "controlling"],
        ],
      );
    });

    test(`each says what its peer says, ${telling(trickle)}`, async () => {
      await using met = await meet({ trickle, roles: ["controlling", "controlled"] });
      assert.deepEqual(
        met.ours.map((one) => one.path()?.kind),
        ["direct", "direct"],
      );
    });
  }

  for (const { name, skip, start } of relays) {
    suite(`through ${name}`, { skip: skip() }, () => {
      let relay: RunningRelay;
      before(async () => {
        relay = await start();
      });
      after(() => relay.stop());

      for (const policies of relayPolicies) {
        for (const trickle of tellings) {
          test(`ours ${policies[0]}, node-datachannel ${policies[1]}, ${telling(trickle)}`, async () => {
            await using met = await meet({ trickle, policies, port: relay.port });
            // libjuice tells no candidates but relays, and checks from the host's address all the same, which is direct.
            const kind = policies[0] === "relay" ? "relayed" : "direct";
            await until(`${kind} paths`, () => met.ours.every((one) => one.path()?.kind === kind));
            for (const peer of met.peers) {
              const { told } = peer;
              if (policies[1] === "relay")
                assert.ok(
                  told.every((line) => line.includes("typ relay")),
                  told.join("\n"),
                );
              if (kind !== "relayed") continue;
              // Its own relay may be nominated first, and is left for its host's address when that has answered.
              const expected = [policies[1] === "relay" ? "relay" : "host", "relay"];
              await until(`the pair ${expected}`, () => String(peer.selected) === String(expected));
            }
          });
        }
      }
    });
  }
});
