/** Secrets on disk: whole, private, or refused. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { inspect } from "node:util";
import { defaultDataDirectory, openDataDirectory } from "../../src/server/data-directory.ts";
import { keepSecretFile, readSecretFile, writePrivate } from "../../src/server/secret-file.ts";

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "postern-secrets-"));
});
after(() => rm(directory, { recursive: true }));

const modeOf = (path: string) => statSync(path).mode & 0o777;

test("the data directory follows systemd, then XDG, then the home directory", () => {
  const env = { STATE_DIRECTORY: "/var/lib/postern:/other", XDG_DATA_HOME: "/x", HOME: "/h" };
  assert.equal(defaultDataDirectory(env), "/var/lib/postern");
  assert.equal(defaultDataDirectory({ ...env, STATE_DIRECTORY: "" }), "/x/postern");
  assert.equal(defaultDataDirectory({ HOME: "/h" }), "/h/.local/share/postern");
  assert.throws(() => openDataDirectory(defaultDataDirectory({})), { code: "data-dir-missing" });
});

test("the data directory is its owner's alone, and refused when everybody can write to it", () => {
  const path = openDataDirectory(join(directory, "a/b"));
  assert.equal(modeOf(path), 0o700);
  chmodSync(path, 0o777);
  assert.throws(() => openDataDirectory(path), { code: "data-dir-exposed", message: /chmod 700/ });
  writeFileSync(join(directory, "plain"), "");
  assert.throws(() => openDataDirectory(join(directory, "plain/sub")), { code: "data-dir-unusable" });
  assert.throws(() => openDataDirectory(join(directory, "plain")), {
    code: "data-dir-unusable",
    message: /no directory/,
  });
});

test("where no directory can be made, that is said", () => {
  assert.throws(() => openDataDirectory("/proc/none/below"), { code: "data-dir-unusable" });
});

test("a secret is made once, with mode 600, and leaves nothing else behind", () => {
  const own = join(directory, "once");
  mkdirSync(own);
  const path = join(own, "secret");
  const first = keepSecretFile(path).reveal();
  assert.ok(first.length >= 43);
  assert.equal(modeOf(path), 0o600);
  assert.equal(keepSecretFile(path).reveal(), first);
  assert.deepEqual(readdirSync(own), ["secret"]);
});

test("of two makers the first wins", () => {
  const path = join(directory, "raced");
  const mine = keepSecretFile(path, () => {
    writePrivate(path, "theirs\n");
    return "mine";
  });
  assert.equal(mine.reveal(), "theirs");
  assert.equal(readFileSync(path, "utf8"), "theirs\n");
});

test("a secret that others may read is refused, with what to run", () => {
  const path = join(directory, "exposed");
  writePrivate(path, "s3cret");
  for (const mode of [0o640, 0o604]) {
    chmodSync(path, mode);
    assert.throws(() => readSecretFile(path), {
      code: "secret-exposed",
      message: `Others may read the secret in ${path}: run chmod 600 ${path}`,
    });
  }
  chmodSync(path, 0o640);
  assert.equal(readSecretFile(path, { groupMayRead: true }).reveal(), "s3cret");
});

test("a secret does not print itself", () => {
  const path = join(directory, "silent");
  writePrivate(path, "s3cret");
  const secret = readSecretFile(path);
  assert.ok(![`${secret}`, JSON.stringify({ secret }), inspect({ secret })].some((text) => text.includes("s3cret")));
});

test("an empty secret and a missing one are refused", () => {
  const path = join(directory, "empty");
  writePrivate(path, "\n");
  assert.throws(() => readSecretFile(path), { code: "secret-empty" });
  assert.throws(() => readSecretFile(join(directory, "none")), { code: "secret-unreadable" });
});
