/**
 * IceConnection and Chromium: in both roles and in the same, with candidates told at once and one by one, directly and with
 * either side confined to a relay, by Postern and by coturn. That the path carries data is seen from the browser's DTLS handshake, which arrives as data.
 */
import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { after, before, suite, test } from "node:test";
import type { IceRole } from "../../src/core/ice/config.ts";
import { IceConnection } from "../../src/node/ice/ice-connection.ts";
import { requirePeer } from "../support/peers.ts";
import { soon, until } from "../support/until.ts";
import { type Browser, startBrowser } from "./browser.ts";
import { IcePage } from "./ice-page.ts";
import {
  introduce,
  opposite,
  type Policy,
  type RunningRelay,
  relayPolicies,
  relays,
  roles,
  iceServers as serversAt,
  telling,
  tellings,
} from "./ice-peer.ts";

interface Meeting {
  readonly role: IceRole;
  readonly theirs?: IceRole;
  readonly trickle: boolean;
  readonly policies?: readonly [ours: Policy, browser: Policy];
  /** Port of a TURN server. */
  readonly port?: number;
}

/** RFC 9147 §4.1: a handshake record whose first message is a ClientHello. */
function isClientHello(data: Uint8Array): boolean {
  return data[0] === 22 && data[1] === 0xfe && data[13] === 1;
}

suite("Chromium", { skip: requirePeer("chromium") }, () => {
  let browser: Browser;

  before(async () => {
    browser = await startBrowser({});
  });
  after(() => browser?.close());

  async function meet({ role, theirs = opposite(role), trickle, policies = ["all", "all"], port }: Meeting) {
    const iceServers = port === undefined ? [] : serversAt(port);
    const interfaces = Object.keys(networkInterfaces());
    const ours = await IceConnection.open({ role, policy: policies[0], iceServers, interfaces });
    const turn = iceServers.map(({ urls, ...rest }) => ({ urls: [urls].flat(), ...rest }));
    const page = await IcePage.open(await browser.newPage(), { role: theirs, policy: policies[1], iceServers: turn });
    await introduce(ours, page, trickle);
    return {
      ours,
      page,
      [Symbol.asyncDispose]: async () => {
        await Promise.all([ours.close(), page.close()]);
      },
    };
  }

  async function connects({ ours, page }: { ours: IceConnection; page: IcePage }): Promise<void> {
    const hello = Promise.withResolvers<void>();
    ours.onData = (data) => isClientHello(data) && hello.resolve();
    await ours.connected({ signal: AbortSignal.timeout(60_000) });
    const connected = async () => (await page.states()).includes("connected");
    await until("the browser to connect", connected, { within: 60_000 });
    await soon("the browser's handshake", hello.promise);
  }

  for (const role of roles) {
    for (const trickle of tellings) {
      test(`directly, ${role}, ${telling(trickle)}`, async () => {
        await using both = await meet({ role, trickle });
        await connects(both);
        assert.equal(both.ours.path()?.kind, "direct");
        assert.equal(both.ours.role, role);
      });

      test(`both say ${role}, ${telling(trickle)}`, async () => {
        await using both = await meet({ role, theirs: role, trickle });
        await connects(both);
      });
    }
  }

  for (const beginner of ["ours", "the browser"] as const) {
    test(`a restart that ${beginner} begins leads to a new path`, async () => {
      await using both = await meet({ role: "controlling", trickle: false });
      await connects(both);
      const { ours, page } = both;
      const [selected, hello] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const events: string[] = [];
      ours.onEvent = ({ type, ...rest }) => {
        events.push(`${type} ${"state" in rest ? rest.state : "reason" in rest ? rest.reason?.code : ""}`);
        if (type === "selected") selected.resolve();
      };
      const otherwise = () => `; ours: ${events.join(", ")}`;
      if (beginner === "ours") {
        ours.restart();
        await page.takeOffer(await ours.localDescription());
        ours.setRemoteDescription(await page.description({ whole: true }));
      } else {
        ours.setRemoteDescription(await page.restart());
        await page.takeAnswer(await ours.localDescription());
      }
      // It repeats the beginning of its handshake for as long as nobody answers, each time after twice as long.
      ours.onData = (data) => isClientHello(data) && hello.resolve();
      await soon("a new path", selected.promise, { otherwise });
      await soon("the browser's handshake on it", hello.promise, { within: 60_000, otherwise });
      assert.ok(!(await page.states()).includes("failed"));
    });
  }

  for (const { name, skip, start } of relays) {
    suite(`through ${name}`, { skip: skip() }, () => {
      let relay: RunningRelay;
      before(async () => {
        // The browser has none but addresses of its machine, which nobody foresees.
        relay = await start(["0.0.0.0/0"]);
      });
      after(() => relay?.stop());

      for (const policies of relayPolicies) {
        for (const role of roles) {
          for (const trickle of tellings) {
            test(`ours ${policies[0]}, the browser ${policies[1]}, ${role}, ${telling(trickle)}`, async () => {
              await using both = await meet({ role, trickle, policies, port: relay.port });
              await connects(both);
              assert.equal(both.ours.path()?.kind, "relayed");
            });
          }
        }
      }
    });
  }
});
