/** `postern serve --shards 2` is told by SIGHUP that secrets, users and the certificate are others: every worker hears of it. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { runChild } from "../support/child.ts";
import {
  cleanEnvironment,
  freeDaemonPorts,
  portFlags,
  postern,
  type RunningDaemon,
  startDaemon,
} from "../support/daemon.ts";
import { requireForeign, requirePeer } from "../support/peers.ts";
import { freePortRange } from "../support/ports.ts";
import { makeTestCertificates } from "../support/test-ca.ts";
import { Refused, TurnClient } from "../support/turn-client.ts";
import { until } from "../support/until.ts";

/** Of so many some are on either shard, but for one time in 2,048. */
const each = 12;

interface Credentials {
  readonly username: string;
  readonly password: string;
}

const run = (...args: readonly string[]) => runChild(postern(...args), { env: cleanEnvironment });

async function issue({ dataDir, ports }: RunningDaemon): Promise<Credentials> {
  const more = ["--listen", "127.0.0.1", ...portFlags(ports)];
  const made = JSON.parse(await run("credentials", "--json", "--data-dir", dataDir, ...more));
  return { username: made.username, password: made.credential };
}

async function addUser({ dataDir }: RunningDaemon, username: string): Promise<Credentials> {
  const password = `${username} in wonderland`;
  const add = postern("user", "add", username, "--password-stdin", "--data-dir", dataDir, "--realm", "postern");
  await runChild(["/bin/sh", "-c", `printf %s '${password}' | "$@"`, "sh", ...add], { env: cleanEnvironment });
  return { username, password };
}

/** What becomes of a refresh: 0, or the error's code. */
function codeOf(client: TurnClient): Promise<number> {
  return client.refresh(600).then(
    () => 0,
    (error: unknown) => (error instanceof Refused ? error.code : assert.fail(String(error))),
  );
}

function serialOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

test("SIGHUP ends sessions of a secret and of a user that are gone, on every worker, and shows the new certificate", {
  skip: requireForeign() || requirePeer("openssl"),
  timeout: 150_000,
}, async () => {
  await using held = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "postern-shards-"));
  held.defer(() => rm(directory, { recursive: true }));
  const first = await makeTestCertificates(directory);
  const flags = ["--shards", "2", "--tls-cert", first.cert, "--tls-key", first.key];
  // However unevenly they come, there is a port for each.
  const free = { ...(await freeDaemonPorts()), relayPorts: await freePortRange(256) };
  const daemon = held.use(await startDaemon({ flags, ports: free }));
  const { port, tlsPort, relayPorts } = daemon.ports;

  const sessions = async (who: Credentials, count = each): Promise<TurnClient[]> => {
    const clients = Array.from({ length: count }, () => TurnClient.connect({ port, ...who }));
    clients.push(TurnClient.connect({ transport: "tls", port: tlsPort, ...who }));
    return Promise.all(clients.map(async (one) => held.use(await one)));
  };
  const ports = new Set<number>();
  const allocate = async (clients: readonly TurnClient[]): Promise<void> => {
    for (const client of clients) ports.add((await client.allocate()).relayed[0]!.port);
  };

  const [issued, alice, bob] = [await issue(daemon), await addUser(daemon, "alice"), await addUser(daemon, "bob")];
  const [ofSecret, ofAlice, ofBob] = [await sessions(issued), await sessions(alice), await sessions(bob, 8)];
  for (const clients of [ofSecret, ofAlice, ofBob]) await allocate(clients);
  const third = (relayPorts.high - relayPorts.low + 1) / 3;
  const parts = new Set([...ports].map((one) => Math.floor((one - relayPorts.low) / third)));
  assert.equal(parts.size, 3, "sessions on every worker");
  const serial = await serialOf(tlsPort);

  const secrets = join(daemon.dataDir, "shared-secret");
  const old = readFileSync(secrets, "utf8");
  await makeTestCertificates(directory);
  writeFileSync(secrets, `new-${"x".repeat(24)}\n`);
  await run("user", "remove", "alice", "--data-dir", daemon.dataDir);
  process.kill(daemon.child.pid, "SIGHUP");

  await until("the new certificate", async () => (await serialOf(tlsPort)) !== serial);
  for (const client of [...ofSecret, ...ofAlice]) {
    await until("the session to end", async () => [401, 437].includes(await codeOf(client)), { within: 30_000 });
  }
  assert.deepEqual(
    await Promise.all(ofBob.map(codeOf)),
    ofBob.map(() => 0),
  );
  for (const late of [...(await sessions(issued)), ...(await sessions(alice))]) {
    await assert.rejects(late.allocate(), (error) => error instanceof Refused && error.code === 401);
  }
  await allocate(await sessions(await issue(daemon)));

  // What is bad is taken over by nobody.
  writeFileSync(first.cert, "not a certificate");
  writeFileSync(secrets, old);
  process.kill(daemon.child.pid, "SIGHUP");
  await daemon.logged("reload-failed");
  assert.notEqual(await serialOf(tlsPort), serial);
  for (const late of await sessions(issued)) {
    await assert.rejects(late.allocate(), (error) => error instanceof Refused && error.code === 401);
  }
  assert.deepEqual(
    await Promise.all(ofBob.map(codeOf)),
    ofBob.map(() => 0),
  );
});
