/**
 * Headless Chromium with a home directory of its own, in which a test CA is trusted, and with a microphone and a camera
 * that are made up. Its pages are served from http://localhost, because media needs a secure context.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Page } from "playwright-core";
import { runChild } from "../support/child.ts";
import { peerPath } from "../support/peers.ts";

const flags = [
  "--no-sandbox",
  "--headless=new",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-ui-for-media-stream",
  "--use-fake-device-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
  "--disable-features=WebRtcHideLocalIpsWithMdns",
  "--allow-loopback-in-peer-connection",
];

export interface Browser {
  /** A page in a context of its own. */
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

/** `ca` is the PEM file of a certificate authority to trust. */
export async function startBrowser({ ca }: { ca: string }): Promise<Browser> {
  const home = await mkdtemp(join(tmpdir(), "postern-chromium-"));
  const store = join(home, ".pki", "nssdb");
  await mkdir(store, { recursive: true });
  await runChild(["certutil", "-d", `sql:${store}`, "-N", "--empty-password"]);
  await runChild(["certutil", "-d", `sql:${store}`, "-A", "-t", "C,,", "-n", "test-ca", "-i", ca]);

  const server = createServer((_, response) => {
    response.setHeader("content-type", "text/html").end("<!doctype html><title>call</title>");
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const browser = await chromium.launch({
    executablePath: peerPath("chromium")!,
    args: flags,
    env: { ...process.env, HOME: home, XDG_CONFIG_HOME: join(home, ".config"), XDG_CACHE_HOME: join(home, ".cache") },
  });
  return {
    newPage: async () => {
      const page = await (await browser.newContext()).newPage();
      await page.goto(`http://localhost:${(server.address() as AddressInfo).port}/`);
      return page;
    },
    close: async () => {
      await browser.close();
      server.close();
      server.closeAllConnections();
      await rm(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
