/**
 * Headless Chromium with a home directory of its own, in which a test CA is trusted, and with a microphone and a camera
 * that are made up. Its pages come from http://localhost, because media needs a secure context; no server is needed.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Page } from "playwright-core";
import { runChild } from "../support/child.ts";
import { peerPath } from "../support/peers.ts";
import { soon } from "../support/until.ts";

const flags = [
  "--no-sandbox",
  "--headless=new",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
];
/** A page that may use the microphone learns addresses, whatever the feature says. */
const plainAddressesFlags = ["--use-fake-ui-for-media-stream", "--disable-features=WebRtcHideLocalIpsWithMdns"];
const loopbackFlag = "--allow-loopback-in-peer-connection";

export interface Browser {
  /** A page in a context of its own. */
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

export interface BrowserOptions {
  /** The PEM file of a certificate authority to trust. */
  readonly ca?: string;
  /** What the browser is started through, such as `["ip", "netns", "exec", name]`. */
  readonly through?: readonly string[];
  /** Loopback addresses are candidates too; true when not given. No server answers there but one of this host. */
  readonly loopback?: boolean;
  /** It tells names instead of its addresses; false when not given. */
  readonly hidesAddresses?: boolean;
}

export async function startBrowser({
  ca,
  through = [],
  loopback = true,
  hidesAddresses = false,
}: BrowserOptions): Promise<Browser> {
  const home = await mkdtemp(join(tmpdir(), "postern-chromium-"));
  const clean = () => rm(home, { recursive: true, force: true, maxRetries: 5 });
  try {
    if (ca !== undefined) await trust(ca, home);
    const browser = await chromium.launch({
      executablePath: await launcher(home, [...through, peerPath("chromium")!]),
      args: [...flags, ...(loopback ? [loopbackFlag] : []), ...(hidesAddresses ? [] : plainAddressesFlags)],
      // Ended by a signal this process would wait for the browser to end, and that may take for ever.
      handleSIGTERM: false,
      handleSIGINT: false,
      handleSIGHUP: false,
      env: { ...process.env, HOME: home, XDG_CONFIG_HOME: join(home, ".config"), XDG_CACHE_HOME: join(home, ".cache") },
    });
    return {
      newPage: async () => openPage(await (await browser.newContext()).newPage()),
      close: async () => {
        await soon("the browser to close", browser.close(), { within: 5_000 }).catch(() => kill(home));
        await clean();
      },
    };
  } catch (cause) {
    await clean();
    throw cause;
  }
}

async function openPage(page: Page): Promise<Page> {
  const body = "<!doctype html><title>call</title>";
  await page.route("http://localhost/**", (route) => route.fulfill({ contentType: "text/html", body }));
  await page.goto("http://localhost/");
  // The one thing that Playwright does not bound.
  const evaluate = page.evaluate.bind(page) as (task: string | (() => unknown), value: unknown) => Promise<unknown>;
  const bounded: typeof evaluate = (task, value) =>
    soon(`the page to do ${typeof task === "string" ? task : task.name || task}`, evaluate(task, value), {
      within: 60_000,
    });
  return Object.assign(page, { evaluate: bounded });
}

/** The browser and what it has started: Playwright makes it the head of a group. */
async function kill(home: string): Promise<void> {
  try {
    process.kill(-Number(await readFile(pidFile(home), "utf8")), "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function pidFile(home: string): string {
  return join(home, "pid");
}

async function trust(ca: string, home: string): Promise<void> {
  const store = join(home, ".pki", "nssdb");
  await mkdir(store, { recursive: true });
  await runChild(["certutil", "-d", `sql:${store}`, "-N", "--empty-password"]);
  await runChild(["certutil", "-d", `sql:${store}`, "-A", "-t", "C,,", "-n", "test-ca", "-i", ca]);
}

/** Playwright starts one program; a script makes one of several words, which ends with this process. */
async function launcher(home: string, command: readonly string[]): Promise<string> {
  const script = join(home, "chromium.sh");
  const words = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const tether = peerPath("setpriv") === undefined ? "" : `${peerPath("setpriv")} --pdeathsig KILL`;
  await writeFile(script, `#!/bin/sh\necho $$ > '${pidFile(home)}'\nexec ${tether} ${words} "$@"\n`, { mode: 0o700 });
  return script;
}
