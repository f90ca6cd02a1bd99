/** The command line of the systemd unit starts the daemon, with what systemd sets around it. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startChild } from "../support/child.ts";
import { cleanEnvironment, freeDaemonPorts, postern } from "../support/daemon.ts";
import { TurnClient } from "../support/turn-client.ts";

const unit = readFileSync(join(import.meta.dirname, "../../packaging/postern.service"), "utf8");

function setting(name: string): string {
  const value = new RegExp(`^${name}=(.+)$`, "m").exec(unit)?.[1];
  assert.ok(value !== undefined, name);
  return value;
}

test("ExecStart serves, keeps its data in StateDirectory, and ends as systemd expects", async () => {
  const words = setting("ExecStart").split(" ");
  assert.deepEqual(words.splice(0, 2), ["/usr/bin/env", "postern"]);
  const state = await mkdtemp(join(tmpdir(), "postern-unit-"));
  const { port, tlsPort, httpPort } = await freeDaemonPorts();
  const env = {
    ...cleanEnvironment,
    STATE_DIRECTORY: join(state, "postern"),
    POSTERN_UDP_PORT: String(port),
    POSTERN_TCP_PORT: String(port),
    POSTERN_TLS_PORT: String(tlsPort),
    POSTERN_HTTP_LISTEN: `127.0.0.1:${httpPort}`,
  };
  const child = await startChild(postern(...words), { env });
  try {
    await using probe = await TurnClient.connect({ port, patience: 10_000 });
    await probe.binding();
    assert.ok(existsSync(join(state, "postern/shared-secret")));
    assert.deepEqual(await child.stop("SIGTERM"), { code: 0, signal: null }, child.output());
    assert.ok(!child.output().includes("credential"), child.output());
  } finally {
    await child.stop();
    await rm(state, { recursive: true });
  }
});
