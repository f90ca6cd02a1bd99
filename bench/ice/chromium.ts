/** Chromium in the benchmark of ICE: a browser on each host, which stays, and a page for each session. */
import type { Lab } from "../../src/lab/lab.ts";
import { type Browser, startBrowser } from "../../test/interop/browser.ts";
import { through } from "../../test/interop/networks.ts";
import { type Contender, type End, type Host, packetEveryMs, type Servers } from "./contender.ts";
import * as inPage from "./page.ts";

async function openEnd(browser: Browser, { turn, stun }: Servers): Promise<End> {
  const page = await browser.newPage();
  const { url: urls, username, credential } = turn;
  await page.evaluate(inPage.prepare, [
    { urls, username, credential },
    ...(stun === undefined ? [] : [{ urls: `stun:${stun}` }]),
  ]);
  return {
    offer: () => page.evaluate(inPage.offer),
    answer: (sdp) => page.evaluate(inPage.answer, sdp),
    accept: (sdp) => page.evaluate(inPage.accept, sdp),
    restart: () => page.evaluate(inPage.restart),
    follow: (sdp) => page.evaluate(inPage.answer, sdp),
    talk: () => page.evaluate(inPage.talk, packetEveryMs),
    hush: () => page.evaluate(inPage.hush),
    moments: () => page.evaluate(inPage.moments),
    heard: () => page.evaluate(inPage.heard),
    close: async () => {
      await page.evaluate(inPage.close);
      await page.context().close();
    },
  };
}

export async function startChromiums(lab: Lab): Promise<Contender> {
  const start = (host: Host): Promise<Browser> =>
    startBrowser({ through: through(lab.network.at(host)), loopback: false });
  const alice = await start("alice");
  const bob = await start("bob").catch(async (cause: Error) => {
    await alice.close();
    throw cause;
  });
  const browsers = { alice, bob };
  return {
    name: "chromium",
    open: (host, servers) => openEnd(browsers[host], servers),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([alice.close(), bob.close()]);
    },
  };
}
