/** The one schema, and the four places that options come from. */
import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { formatIp } from "../../src/core/base/address.ts";
import { PosternError } from "../../src/core/base/failure.ts";
import { parseConfig } from "../../src/server/config/file.ts";
import { type ConfigSources, loadConfig } from "../../src/server/config/load.ts";
import { fileKey, flag, optionNames, variable } from "../../src/server/config/names.ts";
import { options } from "../../src/server/config/options.ts";
import { printConfig } from "../../src/server/config/print.ts";
import { reference } from "../../src/server/config/reference.ts";

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "postern-config-"));
});
after(() => rm(directory, { recursive: true }));

const nowhere = { XDG_CONFIG_HOME: "/nonexistent", XDG_DATA_HOME: "/data" };

let files = 0;
async function file(text: string): Promise<string> {
  const path = join(directory, `postern-${files++}.yaml`);
  await writeFile(path, text);
  return path;
}

async function load(sources: Partial<ConfigSources> = {}) {
  const { config } = await loadConfig({ flags: {}, ...sources, env: { ...nowhere, ...sources.env } });
  return config;
}

/** The lines of complaint, without the first. */
async function complaints(sources: Partial<ConfigSources>): Promise<string[]> {
  const error = await load(sources).then(
    () => assert.fail("nothing was wrong"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof PosternError && error.code === "bad-config", String(error));
  return error.message
    .split("\n")
    .slice(1)
    .map((line) => line.trim());
}

test("without anything given, every option has its default", async () => {
  const config = await load();
  assert.equal(config.dataDir, "/data/postern");
  assert.equal(config.realm, "postern");
  assert.equal(config.udpPort, 3478);
  assert.deepEqual(config.relayPorts, { min: 49_152, max: 65_535 });
  assert.equal(config.sessionBeyondExpiry, 12 * 3600);
});

test("flags win over the environment, the environment over the file, the file over the defaults", async () => {
  const path = await file("realm: from-file\nchannels: 7\npermissions: 7\n");
  const env = { POSTERN_REALM: "from-env", POSTERN_CHANNELS: "8" };
  const config = await load({ file: path, env, flags: { realm: "from-flag" } });
  assert.equal(config.realm, "from-flag");
  assert.equal(config.channels, 8);
  assert.equal(config.permissions, 7);
  assert.equal(config.allocationsPerUser, 100);
});

test("every mistake is told at once, each with its place and what to do", async () => {
  const path = await file(
    [
      "realm: ok",
      "udp-port: 99999",
      "relay-prots: 1-2",
      "allow-peers:",
      "  - 10.0.0.0/8",
      "  - ten",
      "tls-cert: c.pem",
    ].join("\n"),
  );
  const found = await complaints({
    file: path,
    env: { POSTERN_CHANELS: "3", POSTERN_AUTH: "none" },
    flags: { drainDeadline: "soon" },
  });
  assert.deepEqual(found, [
    `${path}:3:1: relay-prots is no option; did you mean relay-ports?`,
    "POSTERN_CHANELS: no such option; did you mean POSTERN_CHANNELS?",
    `${path}:2:11: udp-port must be "off" or a whole number from 1 to 65535, and is not "99999"`,
    `${path}:6:5: allow-peers, item 2, must be an IP address or a prefix, such as 10.0.0.0/8 or 2001:db8::/32, and is not "ten"`,
    'POSTERN_AUTH: auth must be one of both, shared-secret, users, and is not "none"',
    '--drain-deadline: drain-deadline must be a time from 0s to 1d, such as 90s, 10m, 12h or 7d, and is not "soon"',
  ]);
});

test("what does not fit together is told with the place of the option at fault", async () => {
  const path = await file(
    "tls-cert: c.pem\nallocation-lifetime: 2h\nhttp-listen: 192.0.2.1:80\nusername-anonymity: true\n",
  );
  const found = await complaints({ file: path });
  assert.equal(found.length, 4, found.join("\n"));
  assert.match(found[0] as string, /:1:11: tls-cert needs tls-key/);
  assert.match(found[1] as string, /:2:22: allocation-lifetime must not be longer/);
  assert.match(found[2] as string, /:4:21: username-anonymity needs auth: users/);
  assert.match(found[3] as string, /:3:14: http-listen would let other machines reach 192\.0\.2\.1:80/);
});

test("a file that is not YAML, or not a list of options, is told with its line", () => {
  assert.match(parseConfig("realm: [a\nb: c", "f").problems[0]?.where ?? "", /^f:\d+:\d+$/);
  assert.match(parseConfig("- a\n- b", "f").problems[0]?.sentence ?? "", /option: value/);
  assert.match(parseConfig("realm: a\nrealm: b", "f").problems[0]?.where ?? "", /^f:2:/);
  assert.match(parseConfig("realm:\n", "f").problems[0]?.sentence ?? "", /realm needs a value/);
  assert.deepEqual(parseConfig("# nothing yet\n", "f"), { given: [], problems: [] });
});

test("a missing file is refused when it was asked for", async () => {
  await assert.rejects(load({ file: join(directory, "none.yaml") }), { code: "config-unreadable" });
});

test("what Kubernetes sets for a service called postern is no mistake", async () => {
  await load({
    env: { POSTERN_PORT: "tcp://10.0.0.1:3478", POSTERN_SERVICE_HOST: "10.0.0.1", POSTERN_PORT_3478_UDP: "x" },
  });
});

test("a realm is at most 32 bytes", async () => {
  assert.equal((await load({ flags: { realm: "é".repeat(16) } })).realm, "é".repeat(16));
  assert.match((await complaints({ flags: { realm: `${"é".repeat(16)}x` } }))[0] as string, /at most 32 bytes/);
});

test("addresses that are told: alone, in pairs, and by name", async () => {
  const config = await load({
    env: { POSTERN_EXTERNAL_ADDRESS: "203.0.113.5, 10.0.0.6=203.0.113.6,turn.example.org" },
  });
  const texts = config.externalAddress.map(({ bound, advertised }) => [
    bound && formatIp(bound),
    typeof advertised === "string" ? advertised : formatIp(advertised),
  ]);
  assert.deepEqual(texts, [
    [undefined, "203.0.113.5"],
    ["10.0.0.6", "203.0.113.6"],
    [undefined, "turn.example.org"],
  ]);
  assert.equal((await complaints({ flags: { externalAddress: ["10.0.0.6=::1"] } })).length, 1);
});

test("a wildcard is no listening address", async () => {
  assert.equal((await complaints({ flags: { listen: ["0.0.0.0"] } })).length, 1);
  assert.equal((await complaints({ flags: { listen: ["::"] } })).length, 1);
});

suite("secrets", () => {
  const secret = "sixteen-or-more-characters";

  test("are never printed, neither in the effective configuration nor in a complaint", async () => {
    const config = await load({ flags: { sharedSecrets: [secret, `sha256:${secret}`] } });
    assert.equal(config.sharedSecrets[1]?.hash, "sha256");
    assert.equal(config.sharedSecrets[1]?.secret.reveal(), secret);
    const printed = printConfig(config);
    assert.ok(!printed.includes(secret), printed);
    assert.match(printed, /shared-secrets:\n {2}- "\[secret\]"/);
    assert.ok(!JSON.stringify(config).includes(secret));
    const [complaint = ""] = await complaints({ env: { POSTERN_SHARED_SECRETS: "tooshort" } });
    assert.ok(!complaint.includes("tooshort"), complaint);
  });

  test("keep their digits and commas, in a file that not everybody reads", async () => {
    const digits = "0123456789012345";
    const path = await file(`shared-secrets: ${digits}\n`);
    const [complaint] = await complaints({ file: path });
    assert.equal(
      complaint,
      `${path}:1:17: everybody may read the secrets here: run chmod o= ${path}, or use shared-secret-files`,
    );
    await chmod(path, 0o600);
    const fromFile = await load({ file: path });
    assert.equal(fromFile.sharedSecrets[0]?.secret.reveal(), digits);
    const fromEnvironment = await load({ env: { POSTERN_SHARED_SECRETS: `${digits},more` } });
    assert.deepEqual(
      fromEnvironment.sharedSecrets.map((one) => one.secret.reveal()),
      [`${digits},more`],
    );
  });
});

test("the effective configuration can be given back as a file", async () => {
  const flags = {
    allowPeers: ["10.0.0.0/8", "::1"],
    tlsPort: "off",
    bytesPerSecond: "5M",
    greeting: "no",
    listen: "127.0.0.1",
  };
  const first = printConfig(await load({ flags }));
  assert.equal(printConfig(await load({ file: await file(first) })), first);
  assert.match(first, /^tls-port: off$/m);
  assert.match(first, /^bytes-per-second: 5M$/m);
});

test("every option is in the reference, under its three names", () => {
  const page = reference();
  for (const name of optionNames) {
    assert.ok(page.includes(`### ${fileKey(name)}`), name);
    assert.ok(page.includes(flag(name)) && page.includes(variable(name)), name);
    assert.ok(options[name].description.length > 20, name);
  }
});
