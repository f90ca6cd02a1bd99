import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { Secret } from "../../src/node/secret.ts";
import { loadConfig } from "../../src/server/config/load.ts";
import { createSelfSigned, isStillGood } from "../../src/server/tls/certificate.ts";
import { createApart } from "../../src/server/tls/certificate-thread.ts";
import { certificateFlaw } from "../../src/server/tls/identity.ts";

const day = 86_400_000;

test("a self-signed certificate names its hosts and addresses and fits its key", async () => {
  const now = new Date("2026-03-01T00:00:00Z");
  const { certificate, key } = await createSelfSigned(
    ["relay.example", "localhost"],
    ["192.0.2.7", "2001:db8::7"],
    now,
  );
  const x509 = new X509Certificate(certificate);
  assert.ok(x509.checkHost("relay.example") && x509.checkHost("localhost"));
  assert.ok(x509.checkIP("192.0.2.7") && x509.checkIP("2001:db8::7"));
  assert.ok(x509.checkPrivateKey(createPrivateKey(key)));
  assert.ok(x509.verify(x509.publicKey));
  assert.equal(x509.ca, false);
});

test("one that is made in a thread of its own comes back whole, or with what went wrong there", async () => {
  const now = new Date();
  const { certificate, key } = await createApart({ names: ["localhost"], addresses: ["192.0.2.7"], now });
  const x509 = new X509Certificate(certificate);
  assert.ok(isStillGood(certificate, ["localhost"], ["192.0.2.7"], now));
  assert.ok(x509.checkPrivateKey(createPrivateKey(key)));
  const wrong = createApart({ names: ["localhost"], addresses: ["no address"], now });
  await assert.rejects(wrong, (error: Error) => !error.message.includes("without one"));
});

test("a certificate is replaced when names are missing or its end is near", async () => {
  const now = new Date();
  const { certificate } = await createSelfSigned(["localhost"], ["192.0.2.7"], now);
  const good = (names: string[], addresses: string[], days: number) =>
    isStillGood(certificate, names, addresses, new Date(now.getTime() + days * day));
  assert.ok(good(["localhost"], ["192.0.2.7"], 300));
  assert.equal(good(["localhost"], ["192.0.2.7"], 380), false);
  assert.equal(good(["localhost", "other.example"], [], 0), false);
  assert.equal(good([], ["192.0.2.8"], 0), false);
  assert.equal(isStillGood("nonsense", [], [], now), false);
});

test("why clients will refuse one is told: it has ended, or is for another name", async () => {
  const now = new Date("2026-11-02T12:00:00Z");
  const { certificate, key } = await createSelfSigned(["turn.example.org"], [], now);
  const flags = { tlsCert: "cert.pem", tlsKey: "key.pem" };
  const { config } = await loadConfig({ flags, env: { XDG_CONFIG_HOME: "/nonexistent", HOME: "/h" } });
  const flaw = (at: Date, serverName?: string) =>
    certificateFlaw({ certificate, key: new Secret(key) }, { ...config, serverName }, at);
  assert.equal(flaw(now, "turn.example.org"), undefined);
  assert.equal(flaw(now), undefined);
  assert.match(flaw(now, "sip.example.org") ?? "", /^The certificate in .*cert\.pem is not for sip\.example\.org: /);
  assert.match(flaw(new Date("2027-12-24T12:00:00Z")) ?? "", /^The certificate in .*cert\.pem ended on 2027-12-04: /);
});
