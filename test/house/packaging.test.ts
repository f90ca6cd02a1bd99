import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { requirePeer } from "../support/peers.ts";

const packaging = join(import.meta.dirname, "..", "..", "packaging");
const textOf = (name: string) => readFileSync(join(packaging, name), "utf8");

/** What systemd has against a unit, with these files beside it and no others of this host. */
function complaints(unit: string, ...files: readonly string[]): string {
  const directory = mkdtempSync(join(tmpdir(), "postern-units-"));
  try {
    for (const name of [unit, ...files]) cpSync(join(packaging, name), join(directory, name));
    return execFileSync("systemd-analyze", ["verify", join(directory, unit)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, SYSTEMD_UNIT_PATH: `${directory}:` },
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe("systemd", { skip: requirePeer("systemd-analyze") }, () => {
  test("takes the unit as it is", () => {
    assert.equal(complaints("postern.service"), "");
  });

  test("takes the helper's unit, and the daemon's beside it", () => {
    assert.equal(complaints("postern-helper.service"), "");
    assert.equal(complaints("postern.service", "postern.service.d/offload.conf", "postern-helper.service"), "");
  });
});

test("the helper alone has capabilities, and the two that it needs", () => {
  const helper = textOf("postern-helper.service");
  for (const set of ["AmbientCapabilities", "CapabilityBoundingSet"]) {
    assert.deepEqual(helper.match(new RegExp(`^${set}=.*$`, "gm")), [`${set}=CAP_BPF CAP_NET_ADMIN`]);
  }
  for (const line of ["DynamicUser=yes", "NoNewPrivileges=yes", "Type=notify", "Restart=always"]) {
    assert.ok(helper.includes(`\n${line}\n`), line);
  }
  // The last word on a system call counts.
  assert.match(helper.match(/^SystemCallFilter=.*$/gm)?.at(-1) ?? "", /=bpf$/);
  for (const name of ["postern.service", "postern.service.d/offload.conf"]) {
    assert.doesNotMatch(textOf(name), /^[^#]*CAP_(BPF|NET_ADMIN|PERFMON|SYS_ADMIN)/m);
  }
});

test("the daemon looks for the helper where that listens", () => {
  const place = /^RuntimeDirectory=(\S+)$/m.exec(textOf("postern-helper.service"))?.[1];
  assert.ok(textOf("postern.service.d/offload.conf").includes(`POSTERN_OFFLOAD_HELPER=/run/${place}/socket\n`));
});

test("the unit is unprivileged, and its drain fits into its time to stop", () => {
  const text = textOf("postern.service");
  for (const line of ["DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "StateDirectory=postern"]) {
    assert.ok(text.includes(`\n${line}\n`), line);
  }
  assert.ok(Number(/^TimeoutStopSec=(\d+)$/m.exec(text)?.[1]) > 30, "longer than the default drain deadline");
});
