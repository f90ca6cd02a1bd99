/**
 * IceConnection and libnice, which knows nothing of it: in both roles, with candidates told at once and one by one, directly
 * and through relays alone, by Postern's TURN server and by coturn, with one component and with two.
 */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { IceRole } from "../../src/core/ice/config.ts";
import { IceConnection } from "../../src/node/ice/ice-connection.ts";
import type { IceServer } from "../../src/node/ice/options.ts";
import { startCoturn } from "../support/coturn.ts";
import { requireLibrary, requirePeer } from "../support/peers.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { startPostern } from "../support/postern.ts";
import type { RelayUnderTest } from "../support/relay-under-test.ts";
import { until } from "../support/until.ts";
import { buildLibnicePeer, Libnice, type LibniceBuild } from "./ice-libnice.ts";

const user = { name: "alice", password: "wonderland" };
/** Each has an address of its own: a relay does not send to its own host's. */
const [relayAddress, niceAddress] = ["127.0.0.3", "127.0.0.2"];

interface Meeting {
  readonly role: IceRole;
  readonly trickle: boolean;
  /** Ours, and libnice's. */
  readonly policies?: readonly ["all" | "relay", "all" | "relay"];
  readonly components?: number;
  /** Port of a TURN server. */
  readonly port?: number;
}

function how(role: IceRole, trickle: boolean): string {
  return `${role}, ${trickle ? "candidates one by one" : "whole descriptions"}`;
}

suite("libnice", { skip: requireLibrary("nice") }, () => {
  let build: LibniceBuild;
  before(async () => {
    build = await buildLibnicePeer();
  });
  after(() => build[Symbol.asyncDispose]());

  async function meet({ role, trickle, policies = ["all", "all"], components = 1, port }: Meeting) {
    const iceServers: IceServer[] =
      port === undefined
        ? []
        : [{ urls: `turn:${relayAddress}:${port}?transport=udp`, username: user.name, credential: user.password }];
    const nice = await Libnice.start(build.program, {
      ...{ address: niceAddress, components, trickle, policy: policies[1] },
      role: role === "controlling" ? "controlled" : "controlling",
      ...(port !== undefined && { turn: [relayAddress, port, user.name, user.password, "udp"] }),
    });
    const options = { role, components, iceServers, interfaces: ["lo"] };
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
      await ours.connected({ signal: AbortSignal.timeout(15_000) });
    } catch (error) {
      const said = nice.lines.join("\n");
      await both[Symbol.asyncDispose]();
      throw new Error(said, { cause: error });
    }
    return both;
  }

  async function introduce(ours: IceConnection, nice: Libnice, trickle: boolean): Promise<void> {
    if (!trickle) {
      nice.describe(await ours.localDescription());
      return ours.setRemoteDescription(await nice.description({ whole: true }));
    }
    ours.onCandidate = (line) => nice.candidate(line);
    nice.describe(await ours.localDescription({ trickle: true }));
    ours.setRemoteDescription(await nice.description({ whole: false }));
    await nice.eachCandidate((line) => ours.addRemoteCandidate(line));
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

  for (const role of ["controlling", "controlled"] as const) {
    for (const trickle of [false, true]) {
      test(`directly, ${how(role, trickle)}`, async () => {
        await using both = await meet({ role, trickle });
        await both.nice.says("state 1 ready");
        assert.equal(both.ours.path()?.kind, "direct");
        assert.equal(both.ours.role, role);
        await speakBothWays(both.ours, both.nice);
      });

      test(`two components, ${how(role, trickle)}`, async () => {
        await using both = await meet({ role, trickle, components: 2 });
        for (const component of [1, 2]) {
          await both.nice.says(`state ${component} ready`);
          await speakBothWays(both.ours, both.nice, component);
        }
      });
    }
  }

  for (const beginner of ["ours", "libnice"] as const) {
    test(`a restart that ${beginner} begins leads to a new path`, async () => {
      await using both = await meet({ role: "controlling", trickle: false });
      const { ours, nice } = both;
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
      await speakBothWays(ours, nice);
    });
  }

  const relays = { Postern: startPostern, coturn: startCoturn };
  for (const [name, start] of Object.entries(relays)) {
    suite(`through ${name}`, { skip: name === "coturn" && requirePeer("turnserver") }, () => {
      let relay: RelayUnderTest;
      let port: number;
      before(async () => {
        port = await freePort();
        const relayPorts = await freePortRange(64);
        relay = await start({ port, user, relayPorts, addresses: [relayAddress], allowPeers: ["127.0.0.0/8"] });
      });
      after(() => relay.stop());

      for (const role of ["controlling", "controlled"] as const) {
        for (const trickle of [false, true]) {
          test(`relays alone, ${how(role, trickle)}`, async () => {
            await using both = await meet({ role, trickle, policies: ["relay", "relay"], port });
            await both.nice.says(/^selected 1 relay (relay|prflx)$/);
            assert.equal(both.ours.path()?.kind, "relayed");
            await speakBothWays(both.ours, both.nice);
          });
        }

        test(`ours a relay alone, ${role}`, async () => {
          await using both = await meet({ role, trickle: true, policies: ["relay", "all"], port });
          assert.equal(both.ours.path()?.kind, "relayed");
          await speakBothWays(both.ours, both.nice);
        });

        test(`libnice a relay alone, ${role}, two components`, async () => {
          await using both = await meet({ role, trickle: false, policies: ["all", "relay"], components: 2, port });
          for (const component of [1, 2]) {
            assert.equal(both.ours.path(component)?.kind, "relayed");
            await speakBothWays(both.ours, both.nice, component);
          }
        });
      }
    });
  }
});
