/** However the lab ends, nothing of it is left on the host. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ownFiles } from "../../src/lab/namespace.ts";
import { type Child, startChild } from "../support/child.ts";
import { postern } from "../support/daemon.ts";
import { until } from "../support/until.ts";
import { skip } from "./lab-world.ts";
import { descendants, isAlive, namespacesOf, stillThere } from "./traces.ts";

/** Others may mount what they like meanwhile; the lab's own files are here. */
function mounts(): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.filter((line) => line.includes(` ${ownFiles} `));
}

/** As the lab names them. */
function devices(): string[] {
  return readdirSync("/sys/class/net").filter((name) => /^(port\d+|inside|outside|bridge|helper|kernel)$/.test(name));
}

describe("when the lab ends", { skip }, () => {
  let files: string;
  before(() => {
    files = mkdtempSync(join(tmpdir(), "postern-lab-test-"));
  });
  after(() => rmSync(files, { recursive: true }));

  function startLab(...args: readonly string[]): Promise<Child> {
    return startChild(postern("lab", ...args), { env: { TMPDIR: files, HOME: files }, cwd: files });
  }

  /** What the lab has started by the time that its server runs. */
  async function started(lab: Child) {
    const serves = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("--shared-secrets");
    await until("the lab's server", () => descendants(lab.pid).some(serves), { within: 60_000 });
    const processes = descendants(lab.pid);
    const namespaces = namespacesOf(processes);
    assert.ok(processes.length >= 5 && namespaces.size >= 4, `${processes.length} in ${namespaces.size} namespaces`);
    return { processes, namespaces };
  }

  for (const [signal, ending] of [
    ["SIGINT", { code: 130, signal: null }],
    ["SIGTERM", { code: 143, signal: null }],
    ["SIGKILL", { code: null, signal: "SIGKILL" }],
  ] as const) {
    test(`by ${signal} it leaves no process, namespace, device, mount or file`, async () => {
      const lab = await startLab("figure", "--round-trip", "50");
      const { processes, namespaces } = await started(lab);
      const asked = performance.now();
      assert.deepEqual(await lab.stop(signal), ending);
      assert.ok(performance.now() - asked < 3_000, "it ends promptly");
      await until("its processes to be gone", () => !processes.some(isAlive));
      await until("its namespaces to be gone", () => stillThere(namespaces).length === 0);
      assert.deepEqual([...devices(), ...mounts()], []);
      assert.deepEqual(readdirSync(files), []);
    });
  }

  test("by itself it leaves nothing either", async () => {
    const lab = await startLab("figure 5", "--json");
    const { processes, namespaces } = await started(lab);
    assert.equal((await lab.ended({ within: 60_000 })).code, 0);
    assert.deepEqual(processes.filter(isAlive), []);
    assert.deepEqual(stillThere(namespaces), []);
    assert.deepEqual(readdirSync(files), []);
  });
});
