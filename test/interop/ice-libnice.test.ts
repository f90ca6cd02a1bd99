/**
 * IceConnection and libnice, which knows nothing of it: in both roles and in the same, with candidates told at once and one by
 * one, directly and with either side confined to a relay, by Postern's TURN server and by coturn, with one component and two.
 */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { IceRole } from "../../src/core/ice/config.ts";
import { IceConnection } from "../../src/node/ice/ice-connection.ts";
import { requireLibrary } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { buildLibnicePeer, Libnice, type LibniceBuild } from "./ice-libnice.ts";
import {
  iceServers,
  introduce,
  opposite,
  type Policy,
  type RunningRelay,
  relayAddress,
  relayPolicies,
  relays,
  roles,
  telling,
  tellings,
  user,
} from "./ice-peer.ts";

const niceAddress = "127.0.0.2";

interface Meeting {
  readonly role: IceRole;
  readonly theirs?: IceRole;
  readonly trickle: boolean;
  readonly policies?: readonly [ours: Policy, libnice: Policy];
  readonly components?: number;
  /** Port of a TURN server. */
  readonly port?: number;
}

/** Numbered words both ways, from before a restart until after it. */
function startFlow(ours: IceConnection, nice: Libnice) {
  const [sent, heard] = [new Set<string>(), new Set<string>()];
  ours.onData = (data) => heard.add(Buffer.from(data).toString());
  const timer = setInterval(() => {
    const word = String(sent.size);
    sent.add(word);
    assert.ok(ours.send(Buffer.from(word)));
    nice.send(1, word);
  }, 5);
  const missing = (): string[] =>
    [...sent].filter((word) => !heard.has(word) || !nice.lines.includes(`data 1 ${word}`));
  return {
    goesOn: () => {
      const more = sent.size + 20;
      return until("more words", () => sent.size >= more);
    },
    /** When each has arrived. */
    stop: async () => {
      clearInterval(timer);
      await until("every word on both sides", () => missing().length === 0).catch((cause) => {
        throw new Error(`of ${sent.size} words these are lost: ${missing()}`, { cause });
      });
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

suite("libnice", { skip: requireLibrary("nice") }, () => {
  let build: LibniceBuild;
  before(async () => {
    build = await buildLibnicePeer();
  });
  after(() => build[Symbol.asyncDispose]());

  async function meet(meeting: Meeting) {
    const { role, theirs = opposite(role), trickle, policies = ["all", "all"], components = 1, port } = meeting;
    const nice = await Libnice.start(build.program, {
      ...{ address: niceAddress, role: theirs, components, trickle, policy: policies[1] },
      ...(port !== undefined && { turn: [relayAddress, port, user.name, user.password, "udp"] }),
    });
    const servers = port === undefined ? [] : iceServers(port);
    const options = { role, components, iceServers: servers, interfaces: ["lo"] };
    const ours = await IceConnection.open({ ...options, policy: policies[0] });
    const both = {
      ours,
      nice,
      [Symbol.asyncDispose]: async () => {
        await Promise.all([ours.close(), nice.close()]);
      },
    };
    try {
      await introduce(ours, nice, trickle);
      await ours.connected({ signal: AbortSignal.timeout(60_000) });
    } catch (error) {
      const said = nice.lines.join("\n");
      await both[Symbol.asyncDispose]();
      throw new Error(said, { cause: error });
    }
    return both;
  }

  async function speakBothWays(ours: IceConnection, nice: Libnice, component = 1): Promise<void> {
    const heard: string[] = [];
    ours.onData = (data, at) => heard.push(`${at} ${Buffer.from(data)}`);
    await until("our words at libnice", () => {
      ours.send(Buffer.from("from us"), component);
      return nice.lines.includes(`data ${component} from us`);
    });
    await until("libnice's words", () => {
      nice.send(component, "from libnice");
      return heard.includes(`${component} from libnice`);
    });
  }

  for (const role of roles) {
    for (const trickle of tellings) {
      test(`directly, ${role}, ${telling(trickle)}`, async () => {
        await using both = await meet({ role, trickle });
        await both.nice.says("state 1 ready");
        assert.equal(both.ours.path()?.kind, "direct");
        assert.equal(both.ours.role, role);
        await speakBothWays(both.ours, both.nice);
      });

      test(`two components, ${role}, ${telling(trickle)}`, async () => {
        await using both = await meet({ role, trickle, components: 2 });
        for (const component of [1, 2]) {
          await both.nice.says(`state ${component} ready`);
          await speakBothWays(both.ours, both.nice, component);
        }
      });

      test(`both say ${role}, ${telling(trickle)}`, async () => {
        await using both = await meet({ role, theirs: role, trickle });
        await both.nice.says("state 1 ready");
        await speakBothWays(both.ours, both.nice);
      });
    }
  }

  for (const beginner of ["ours", "libnice"] as const) {
    test(`a restart that ${beginner} begins leads to a new path, and loses nothing on the way`, async () => {
      await using both = await meet({ role: "controlling", trickle: false });
      const { ours, nice } = both;
      await nice.says("state 1 ready");
      using flow = startFlow(ours, nice);
      const selected = Promise.withResolvers<void>();
      ours.onEvent = ({ type }) => void (type === "selected" && selected.resolve());
      if (beginner === "ours") {
        ours.restart();
        const offer = await ours.localDescription();
        await nice.restart();
        nice.describe(offer);
        ours.setRemoteDescription(await nice.description({ whole: true }));
      } else {
        await nice.restart();
        ours.setRemoteDescription(await nice.description({ whole: true }));
        nice.describe(await ours.localDescription());
      }
      await selected.promise;
      await flow.goesOn();
      await flow.stop();
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
        for (const role of roles) {
          for (const trickle of tellings) {
            test(`ours ${policies[0]}, libnice ${policies[1]}, ${role}, ${telling(trickle)}`, async () => {
              await using both = await meet({ role, trickle, policies, port: relay.port });
              if (policies[1] === "relay") await both.nice.says(/^selected 1 relay /);
              assert.equal(both.ours.path()?.kind, "relayed");
              await speakBothWays(both.ours, both.nice);
            });
          }
        }
      }

      for (const role of roles) {
        test(`two components, libnice a relay alone, ${role}`, async () => {
          const policies = ["all", "relay"] as const;
          await using both = await meet({ role, trickle: false, policies, components: 2, port: relay.port });
          for (const component of [1, 2]) {
            assert.equal(both.ours.path(component)?.kind, "relayed");
            await speakBothWays(both.ours, both.nice, component);
          }
        });
      }
    });
  }
});
