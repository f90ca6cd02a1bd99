/** What `postern serve` warns of when it starts. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pino } from "pino";
import { loadConfig } from "../../src/server/config/load.ts";
import { Daemon } from "../../src/server/daemon.ts";
import { greeting } from "../../src/server/greeting.ts";
import { freePort, freePortRange } from "../support/ports.ts";

async function warned(flags: Readonly<Record<string, string>>): Promise<string | undefined> {
  const dataDir = await mkdtemp(join(tmpdir(), "postern-greeting-"));
  after(() => rm(dataDir, { recursive: true }));
  const [relay, media] = [await freePortRange(16), await freePortRange(16)];
  const ports = { udpPort: `${await freePort()}`, tcpPort: "off", relayPorts: `${relay.low}-${relay.high}` };
  const common = { dataDir, listen: ["127.0.0.1"], httpListen: "off", mediaPorts: `${media.low}-${media.high}` };
  const loaded = await loadConfig({ flags: { ...common, ...ports, ...flags }, env: {} });
  const log = pino({ level: "silent" });
  await using daemon = await Daemon.start({ loaded, reload: () => Promise.resolve(loaded), log, version: "0" });
  return /^Warning: TLS .*$/m.exec(greeting(daemon, "0"))?.[0];
}

test("a certificate of our own is warned of, and who refuses it: whoever is served over TLS", async () => {
  const [tls, sip, sips] = [`${await freePort()}`, `${await freePort()}`, `${await freePort()}`];
  const phones = { sipDomain: "example.org", sipPort: sip, sipsPort: sips };
  const refuse = (who: string) =>
    `Warning: TLS shows a self-signed certificate, which ${who} refuse: set tls-cert and tls-key.`;
  assert.equal(await warned({ tlsPort: tls }), refuse("browsers"));
  assert.equal(await warned({ tlsPort: tls, ...phones }), refuse("browsers and most telephones"));
  assert.equal(await warned({ tlsPort: "off", ...phones }), refuse("most telephones"));
  assert.equal(await warned({ tlsPort: "off", ...phones, sipsPort: "off" }), undefined);
});
