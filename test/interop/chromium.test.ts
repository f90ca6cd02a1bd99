/**
 * Two pages of Chromium talk through Postern, allowed to use nothing else: voice and VP8 video both ways, over each
 * transport that a browser speaks to a TURN server, and behind an external address that leads nowhere.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { requirePeer } from "../support/peers.ts";
import { freePort, freePortRange } from "../support/ports.ts";
import { type RelayOptions, type RelayUnderTest, startRelay } from "../support/relay-under-test.ts";
import { makeTestCertificates, type TestCertificates } from "../support/test-ca.ts";
import { until } from "../support/until.ts";
import { type Browser, startBrowser } from "./browser.ts";
import { BrowserCall, type CallStats } from "./browser-call.ts";

const skip = requirePeer("chromium", "certutil", "openssl");
const user = { name: "alice", password: "wonderland" };

describe("two pages of Chromium see and hear each other through the relay alone", { skip }, () => {
  let directory: string;
  let certificates: TestCertificates;
  let browser: Browser;
  let relay: RelayUnderTest;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "postern-chromium-test-"));
    certificates = await makeTestCertificates(directory);
    browser = await startBrowser(certificates);
  });
  after(async () => {
    await browser?.close();
    await rm(directory, { recursive: true, force: true });
  });

  const start = async (extra: Partial<RelayOptions> = {}) => {
    const options: RelayOptions = {
      addresses: ["127.0.0.1"],
      user,
      certificate: certificates,
      relayPorts: await freePortRange(64),
      allowPeers: [],
      port: await freePort(),
      tlsPort: await freePort(),
      ...extra,
    };
    relay = await startRelay(options);
    return { port: options.port, tlsPort: options.tlsPort };
  };

  for (const { transport, url } of [
    { transport: "udp", url: ({ port }: Ports) => `turn:127.0.0.1:${port}?transport=udp` },
    { transport: "tcp", url: ({ port }: Ports) => `turn:127.0.0.1:${port}?transport=tcp` },
    { transport: "tls", url: ({ tlsPort }: Ports) => `turns:localhost:${tlsPort}?transport=tcp` },
  ] as const) {
    test(`over ${transport.toUpperCase()}`, async (t) => {
      const ports = await start();
      t.after(() => relay.stop());
      for (const side of await talk(url(ports))) {
        assert.equal(side.local.relayProtocol, transport);
        assert.equal(side.local.address, "127.0.0.1");
      }
    });
  }

  test("behind an external address that does not come back: the relay hands over itself", async (t) => {
    const outside = "203.0.113.77";
    const { port } = await start({ external: { "127.0.0.1": outside } });
    t.after(() => relay.stop());
    for (const side of await talk(`turn:127.0.0.1:${port}?transport=udp`)) {
      assert.equal(side.local.address, outside);
      assert.equal(side.remote.address, outside);
    }
  });

  test("from two shards: a worker hands over to the other", async (t) => {
    const { port } = await start({ postern: { shards: 2 } });
    t.after(() => relay.stop());
    if (relay.name === "coturn") return t.skip("coturn has no shards of this kind");
    // Which shard a page's port leads to is chance: each call is one of two with even odds.
    const crossed = async () => (await relay.metric("postern_shard_packets_total")) ?? 0;
    for (let calls = 0; calls < 10 && (await crossed()) < 100; calls++) {
      await talk(`turn:127.0.0.1:${port}?transport=udp`);
    }
    assert.ok((await crossed()) >= 100);
    assert.equal(await relay.metric("postern_shard_packets_lost_total"), 0);
  });

  test("a call outlives its allocations' first lifetimes", async (t) => {
    const { port } = await start({ maxLifetime: 4 });
    t.after(() => relay.stop());
    if (relay.name === "coturn") return t.skip("coturn gives ten minutes whatever it is told");
    const call = await talkOn(`turn:127.0.0.1:${port}?transport=udp`);
    t.after(() => call.end());
    const [live, made, before] = [await count("allocations"), await count("allocations_total"), await refreshes()];
    await until("each allocation to be refreshed three times", async () => (await refreshes()) >= before + 3 * live, {
      within: 60_000,
    });
    await call.flowing();
    assert.equal(await count("allocations_total"), made);
  });

  const count = async (name: string) => (await relay.metric(`postern_turn_${name}`)) ?? 0;
  const refreshes = () => count('requests_total{method="Refresh"}');

  /** Makes a call, and asserts that media flows both ways over relays on both ends. */
  async function talkOn(urls: string): Promise<BrowserCall> {
    const call = new BrowserCall(await browser.newPage(), await browser.newPage());
    await call.start({ urls, username: user.name, credential: user.password }, "relay");
    for (const side of await call.flowing()) {
      assert.equal(side.local.type, "relay");
      assert.equal(side.remote.type, "relay");
      assert.equal(side.inbound.audio?.codec, "audio/opus");
      assert.equal(side.inbound.video?.codec, "video/VP8");
    }
    return call;
  }

  /** Makes a call, ends it, and returns what both sides saw. */
  async function talk(urls: string): Promise<readonly CallStats[]> {
    const call = await talkOn(urls);
    const sides = await call.stats();
    await call.end();
    return sides;
  }
});

type Ports = { port: number; tlsPort: number | undefined };
