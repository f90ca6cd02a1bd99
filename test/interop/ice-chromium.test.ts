/**
 * IceConnection and Chromium: in both roles, with candidates told at once and one by one, directly and with either side
 * confined to a relay. That the path carries data is seen from the browser's DTLS handshake, which arrives as data.
 */
import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { after, before, suite, test } from "node:test";
import type { IceRole } from "../../src/core/ice/config.ts";
import { IceConnection } from "../../src/node/ice/ice-connection.ts";
import { requirePeer } from "../support/peers.ts";
import { freePort, freePortRange } from "../support/ports.ts";

import { type RelayUnderTest, startRelay } from "../support/relay-under-test.ts";
import { until } from "../support/until.ts";
import { type Browser, startBrowser } from "./browser.ts";
import { IcePage } from "./ice-page.ts";

const user = { name: "alice", password: "wonderland" };
/** An address of its own: a relay does not send to its own host's. */
const relayAddress = "127.0.0.3";

type Policy = "all" | "relay";

interface Meeting {
  readonly role: IceRole;
  readonly trickle: boolean;
  /** Ours, and the browser's. */
  readonly policies?: readonly [Policy, Policy];
}

/** Keeps what comes before somebody reads it. */
class Letterbox {
  readonly #kept: string[] = [];
  #read: ((line: string) => void) | undefined;
  readonly put = (line: string): void => {
    if (this.#read === undefined) this.#kept.push(line);
    else this.#read(line);
  };

  open(read: (line: string) => void): void {
    this.#read = read;
    for (const line of this.#kept.splice(0)) read(line);
  }
}

/** RFC 9147 §4.1: a handshake record whose first message is a ClientHello. */
function isClientHello(data: Uint8Array): boolean {
  return data[0] === 22 && data[1] === 0xfe && data[13] === 1;
}

suite("Chromium", { skip: requirePeer("chromium") }, () => {
  let browser: Browser;
  let relay: RelayUnderTest;
  let url: string;

  before(async () => {
    const port = await freePort();
    const own = { port, user, addresses: [relayAddress], relayPorts: await freePortRange(64) };
    relay = await startRelay({ ...own, allowPeers: ["0.0.0.0/0"] });
    url = `turn:${relayAddress}:${port}?transport=udp`;
    browser = await startBrowser({});
  });
  after(async () => {
    await browser?.close();
    await relay?.stop();
  });

  async function meet({ role, trickle, policies: [own, theirs] = ["all", "all"] }: Meeting) {
    const iceServers = [{ urls: url, username: user.name, credential: user.password }];
    const [toPage, toUs] = [new Letterbox(), new Letterbox()];
    const interfaces = Object.keys(networkInterfaces());
    const ours = await IceConnection.open({ role, policy: own, iceServers, interfaces, onCandidate: toPage.put });
    const page = await IcePage.open(await browser.newPage(), { policy: theirs, iceServers }, toUs.put);
    if (role === "controlled") {
      ours.setRemoteDescription(await page.offer({ whole: !trickle }));
      await page.takeAnswer(await ours.localDescription({ trickle }));
    } else {
      ours.setRemoteDescription(await page.answer(await ours.localDescription({ trickle }), { whole: !trickle }));
    }
    if (trickle) {
      // The page may be closing by now.
      toPage.open((line) => void page.addCandidate(line).catch(() => {}));
      toUs.open((line) => ours.addRemoteCandidate(line));
    }
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
    await ours.connected({ signal: AbortSignal.timeout(15_000) });
    await until("the browser to connect", async () => (await page.states()).includes("connected"));
    await hello.promise;
  }

  for (const role of ["controlling", "controlled"] as const) {
    for (const trickle of [false, true]) {
      test(`directly, ${role}, ${trickle ? "candidates one by one" : "whole descriptions"}`, async () => {
        await using both = await meet({ role, trickle });
        await connects(both);
        assert.equal(both.ours.path()?.kind, "direct");
        assert.equal(both.ours.role, role);
      });
    }

    for (const policies of [
      ["relay", "all"],
      ["all", "relay"],
      ["relay", "relay"],
    ] as const) {
      test(`ours ${policies[0]}, the browser ${policies[1]}, ${role}`, async () => {
        await using both = await meet({ role, trickle: role === "controlling", policies });
        await connects(both);
        assert.equal(both.ours.path()?.kind, "relayed");
      });
    }
  }
});
