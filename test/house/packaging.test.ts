import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { requirePeer } from "../support/peers.ts";

const unit = join(import.meta.dirname, "..", "..", "packaging", "postern.service");

test("systemd takes the unit as it is", { skip: requirePeer("systemd-analyze") }, () => {
  const said = execFileSync("systemd-analyze", ["verify", unit], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  assert.equal(said, "");
});

test("the unit is unprivileged, and its drain fits into its time to stop", () => {
  const text = readFileSync(unit, "utf8");
  for (const line of ["DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "StateDirectory=postern"]) {
    assert.ok(text.includes(`\n${line}\n`), line);
  }
  assert.ok(Number(/^TimeoutStopSec=(\d+)$/m.exec(text)?.[1]) > 30, "longer than the default drain deadline");
});
