/**
 * Chromium hides its addresses behind names (mDNS), as it does unless a page may use the microphone: found by us, and
 * ours by it, on one link of real kernels.
 */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { IceRole } from "../../src/core/ice/config.ts";
import { Network } from "../../src/lab/network.ts";
import { requirePeer, requirePrivilege } from "../support/peers.ts";
import { until } from "../support/until.ts";
import { type Browser, startBrowser } from "./browser.ts";
import { NamesEnd } from "./ice-names.ts";
import { IcePage } from "./ice-page.ts";
import { opposite, roles } from "./ice-peer.ts";
import { hostOf, through } from "./networks.ts";

const skip =
  requirePrivilege("root", "net-admin", "sys-admin") ||
  requirePeer("ip", "nft", "setpriv", "unshare", "nsenter", "chromium");
const byName = /a=candidate:\S+ 1 udp \d+ [-0-9a-f]{36}\.local \d+ typ host/;

suite("Chromium's names", { skip }, () => {
  let network: Network;
  let browser: Browser;
  const started: NamesEnd[] = [];

  before(async () => {
    const home = { name: "home", hosts: ["alice", "bob"], gateways: [{ nat: "port-restricted cone" as const }] };
    network = await Network.build({ outside: ["server"], sites: [home] });
    browser = await startBrowser({ through: through(network.at("bob")), loopback: false, hidesAddresses: true });
  });
  after(async () => {
    await Promise.all(started.map((end) => end.stop()));
    await browser?.close();
    await network?.[Symbol.asyncDispose]();
  });

  async function meet(role: IceRole, mdns: boolean) {
    const ours = await NamesEnd.start(network, "alice");
    started.push(ours);
    const page = await IcePage.open(await browser.newPage(), { role: opposite(role), policy: "all", iceServers: [] });
    await ours.ask({ do: "open", options: { role, mdns } });
    const { description: own = "" } = await ours.ask({ do: "describe" });
    let theirs = "";
    if (role === "controlling") {
      await page.describe(own);
      theirs = await page.description({ whole: true });
      await ours.ask({ do: "meet", description: theirs });
    } else {
      theirs = await page.description({ whole: true });
      await ours.ask({ do: "meet", description: theirs });
      await page.describe(own);
    }
    return { ours, page, own, theirs };
  }

  for (const role of roles) {
    test(`are looked up, ${role}`, async () => {
      const { ours, page, theirs } = await meet(role, false);
      assert.match(theirs, byName);
      const bob = network.addressOf("bob");
      assert.ok(!theirs.includes(bob), theirs);
      // It has told no address: what is called a host candidate was looked up.
      await until("its address", async () => (await ours.ask({ do: "remote" })).remote?.includes(`host ${bob}`));
      const path = await ours.ask({ do: "connect" });
      assert.deepEqual([path.kind, hostOf(path.to)], ["direct", bob]);
      await until("the browser to connect", async () => (await page.states()).includes("connected"));
      await Promise.all([ours.stop(), page.close()]);
    });

    test(`and it looks ours up, ${role}`, async () => {
      const { ours, page, own } = await meet(role, true);
      const alice = network.addressOf("alice");
      assert.match(own, byName);
      assert.ok(!own.includes(alice), own);
      // A candidate of ours that it has only heard from would be called peer-reflexive.
      await until("its host candidate of ours", async () => (await page.remoteTypes()).includes("host"));
      assert.equal((await ours.ask({ do: "connect" })).kind, "direct");
      await until("the browser to connect", async () => (await page.states()).includes("connected"));
      await Promise.all([ours.stop(), page.close()]);
    });
  }
});
