/** The examples compile and run against the package as a user has it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Installed, installPackage } from "../support/installed.ts";

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

suite("examples", () => {
  let user: Installed;
  before(async () => {
    user = await installPackage();
    await cp(join(root, "examples"), user.project, { recursive: true });
    await symlink(join(root, "node_modules/@types"), join(user.project, "node_modules/@types"));
    await symlink(join(root, "node_modules/undici-types"), join(user.project, "node_modules/undici-types"));
  });
  after(() => user[Symbol.asyncDispose]());

  test("compile with a user's compiler settings", async () => {
    const compilerOptions = {
      strict: true,
      module: "nodenext",
      noEmit: true,
      types: ["node"],
      erasableSyntaxOnly: true,
    };
    await writeFile(join(user.project, "tsconfig.json"), JSON.stringify({ compilerOptions }));
    await run(join(root, "node_modules/.bin/tsc"), ["-p", "."], { cwd: user.project }).catch(({ stdout }) =>
      assert.fail(stdout),
    );
  });
});
