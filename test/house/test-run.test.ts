/** `npm test` always ends: with tests that wait for ever, files that do not end, and children that nobody ends. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { startChild } from "../support/child.ts";
import { requirePeer } from "../support/peers.ts";

const runner = join(import.meta.dirname, "../../tools/test.ts");
const head = 'import { spawn } from "node:child_process";\nimport { suite, test } from "node:test";\n';
/** It ignores SIGTERM, as Chromium's keeper does, and so does its child, which holds the runner's pipe. */
const deaf = `process.on("SIGTERM", () => {});
const child = spawn(process.execPath, ["-e", "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"], {
  detached: true,
  stdio: "inherit",
});
console.error("child " + child.pid);
`;

/** Runs `files` with the given minutes to a test, a file and all of them: a busy machine takes some seconds to start them. */
async function runTests(limits: readonly number[], files: Readonly<Record<string, string>>) {
  const root = await mkdtemp(join(tmpdir(), "postern-test-run-"));
  try {
    await mkdir(join(root, "test"));
    await writeFile(join(root, "package.json"), '{ "type": "module" }');
    for (const [name, text] of Object.entries(files))
      await writeFile(join(root, "test", `${name}.test.ts`), head + text);
    const command = [process.execPath, runner, "--root", root, "--limits", limits.join(), "test"];
    // A run inside a test runs nothing.
    const child = await startChild(["/usr/bin/env", "-u", "NODE_TEST_CONTEXT", ...command]);
    const { code } = await child.ended({ within: 120_000 });
    return { code, output: child.output(), last: child.output().trimEnd().split("\n").at(-1) };
  } finally {
    await rm(root, { recursive: true });
  }
}

/** Whoever was killed may wait for init to take note of it. */
function runs(pid: number): boolean {
  return /^[^Z]/.test(spawnSync("ps", ["-o", "stat=", "-p", `${pid}`], { encoding: "utf8" }).stdout);
}

function childIn(output: string): number {
  return Number(/child (\d+)/.exec(output)?.[1] ?? assert.fail(output));
}

test("a word that no test file's path contains is answered with those that are near it", () => {
  const { status, stdout } = spawnSync(process.execPath, [runner, "server/medai"], { encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(stdout, /contains server\/medai\.\n {2}near server\/medai: test\/core\/turn\/server\/media\.test\.ts\n/);
});

test("--help prints how the repository's programs are called, and does nothing else", () => {
  for (const [program, call] of [
    ["tools/test.ts", "  npm test -- turn codec "],
    ["bench/main.ts", "  npm run bench -- --quick "],
    ["test/fuzz/main.ts", "`npm run fuzz -- [--inputs "],
  ] as const) {
    const path = join(import.meta.dirname, "../..", program);
    const { status, stdout, stderr } = spawnSync(process.execPath, [path, "--help"], { encoding: "utf8" });
    assert.deepEqual([status, stderr], [0, ""], program);
    assert.ok(stdout.includes(call) && !stdout.includes("\n *"), stdout);
  }
});

suite("npm test", { concurrency: true, skip: requirePeer("ps") }, () => {
  test("a test that waits for ever fails at its limit, and the rest is run", async () => {
    const { code, output, last } = await runTests([0.2, 2, 2], {
      a: 'test("waits", () => new Promise(() => setInterval(() => {}, 1000).unref()));\ntest("after", () => {});\n',
      b: 'test("more time", { timeout: 60_000 }, () => new Promise((done) => setTimeout(done, 13_000)));\n',
    });
    assert.equal(code, 1);
    assert.match(output, /✖ waits[\s\S]*test timed out after 12000ms/);
    assert.equal(last, "2 passed, 1 failed, 0 skipped", output);
  });

  test("a file whose process does not end is killed with its children, and named", async () => {
    const { code, output, last } = await runTests([2, 0.2, 2], {
      a: `${deaf}test("passes", () => {});\n`,
      b: 'test("passes", () => {});\n',
    });
    assert.equal(code, 1);
    assert.match(output, /^Killed: test\/a\.test\.ts has not ended after 12 s; no test of it is running$/m);
    assert.equal(last, "2 passed, 1 failed, 0 skipped", output);
    assert.ok(!runs(childIn(output)), output);
  });

  test("the whole run ends, and names what was running", async () => {
    const { code, output, last } = await runTests([2, 2, 0.25], {
      a: `${deaf}suite("group", () => test("waits", () => new Promise(() => setInterval(() => {}, 1000))));\n`,
      b: 'test("passes", () => {});\n',
      c: 'test("waits", () => new Promise(() => setInterval(() => {}, 1000)));\n',
      d: 'test("never begins", () => {});\n',
    });
    assert.equal(code, 1);
    assert.match(output, /^Killed: test\/a\.test\.ts was running when .* were over; running: group › waits$/m);
    assert.match(output, /^Killed: test\/c\.test\.ts was running when .* were over; running: waits$/m);
    assert.equal(last, "1 passed, 3 failed, 0 skipped", output);
    assert.ok(!runs(childIn(output)), output);
  });
});
