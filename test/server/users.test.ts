/** The database of users: keys for every realm, never a password. */
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { userhash } from "../../src/core/stun/credentials.ts";
import { UserStore } from "../../src/server/users/user-store.ts";
import { toHex } from "../support/bytes.ts";
import { testCrypto } from "../support/crypto.ts";

let directory: string;
let path: string;
let count = 0;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "postern-users-"));
});
after(() => rm(directory, { recursive: true }));
beforeEach(() => {
  path = join(directory, `${count++}.db`);
});

test("keys are MD5 and SHA-256 of name, realm and password, for every realm", () => {
  using users = UserStore.open(path);
  users.setPassword("user", "pass", ["realm", "other"], 1);
  const keys = users.find({ username: "user" }, "realm");
  // The MD5 example of RFC 8489 §9.2.2.
  assert.equal(toHex(keys?.md5 ?? new Uint8Array()), "8493fbc53ba582fb4c044c456bdc40eb");
  assert.equal(toHex(keys?.sha256 ?? new Uint8Array()), toHex(testCrypto.sha256(Buffer.from("user:realm:pass"))));
  assert.notDeepEqual(users.find({ username: "user" }, "other")?.md5, keys?.md5);
  assert.equal(users.find({ username: "user" }, "third"), undefined);
  assert.equal(users.find({ userhash: userhash(testCrypto, "user", "realm") }, "realm")?.username, "user");
});

test("the password is not in the file, and the file is its owner's alone", () => {
  const password = "correct horse battery staple";
  {
    using users = UserStore.open(path);
    users.setPassword("alice", password, ["postern"], 1);
  }
  const bytes = readFileSync(path);
  assert.ok(bytes.includes("alice"));
  assert.ok(!bytes.includes(password));
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("names and passwords are prepared with OpaqueString", () => {
  using users = UserStore.open(path);
  users.setPassword("ma\u0301tyas", "pass\u00a0word", ["r"], 1);
  assert.deepEqual(
    users.list(["r"]).map(({ name }) => name),
    ["m\u00e1tyas"],
  );
  const expected = testCrypto.md5(Buffer.from("m\u00e1tyas:r:pass word"));
  assert.equal(toHex(users.find({ username: "m\u00e1tyas" }, "r")?.md5 ?? new Uint8Array()), toHex(expected));
  assert.throws(() => users.setPassword("a\u0000b", "x", ["r"], 1), { code: "bad-user-name" });
  assert.throws(() => users.setPassword("a", "", ["r"], 1), { code: "bad-password" });
  assert.throws(() => users.setPassword("1700000000:bob", "x", ["r"], 1), { code: "bad-user-name" });
});

test("SQL in a name is a name", () => {
  using users = UserStore.open(path);
  const name = "x'); DROP TABLE user; --";
  users.setPassword(name, "x", ["r"], 1);
  users.setPassword("other", "x", ["r"], 1);
  assert.equal(users.remove(name), true);
  assert.equal(users.remove(name), false);
  assert.deepEqual(
    users.list(["r"]).map((user) => user.name),
    ["other"],
  );
});

test("after a change of realm the list says whose password must be set again", () => {
  using users = UserStore.open(path);
  users.setPassword("old", "x", ["before"], 1);
  users.setPassword("new", "x", ["before", "now"], 1);
  const missing = users.list(["now"]).map(({ name, missing }) => [name, missing]);
  assert.deepEqual(missing, [
    ["new", []],
    ["old", ["now"]],
  ]);
  assert.equal(users.countWithout("now"), 1);
  assert.equal(users.countWithout("before"), 0);
});

test("another process sees who was removed or changed, and nobody else", () => {
  using daemon = UserStore.open(path);
  using command = UserStore.open(path);
  for (const name of ["stays", "leaves", "changes"]) command.setPassword(name, "x", ["r"], 1);
  const seen = daemon.newestChange;
  command.remove("leaves");
  command.setPassword("changes", "y", ["r"], 2);
  command.setPassword("comes", "y", ["r"], 2);
  assert.deepEqual(daemon.changedAfter(seen).sort(), ["changes", "leaves"]);
  assert.ok(daemon.newestChange > seen);
  daemon.forgetChanges(daemon.newestChange);
  assert.ok(daemon.newestChange >= 0);
  assert.deepEqual(daemon.changedAfter(seen), []);
});

test("a file that is no database is refused", () => {
  assert.throws(() => UserStore.open(directory), { code: "users-unusable" });
});

test("who may register a phone has a key for its domain, and nobody else is found there", () => {
  using users = UserStore.open(path);
  users.setPassword("alice", "pass", ["turn"], 1, "example.org");
  users.setPassword("bob", "pass", ["turn", "example.org"], 1);
  const keys = users.findPhone("alice", "example.org");
  assert.equal(
    toHex(keys?.sha256 ?? new Uint8Array()),
    toHex(testCrypto.sha256(Buffer.from("alice:example.org:pass"))),
  );
  assert.ok(users.find({ username: "alice" }, "turn"));
  assert.equal(users.findPhone("bob", "example.org"), undefined, "a key alone is no phone");
  assert.deepEqual(users.phones("example.org"), ["alice"]);
  assert.deepEqual(
    users.list(["turn"], "example.net").map(({ name, isPhone, missing }) => [name, isPhone, missing]),
    [
      ["alice", true, ["example.net"]],
      ["bob", false, []],
    ],
  );
  users.setPassword("alice", "pass", ["turn"], 2);
  assert.deepEqual([users.isPhone("alice"), users.findPhone("alice", "example.org")], [false, undefined]);
});

test("a number may name a phone, and nothing else: TURN takes it for a time", () => {
  using users = UserStore.open(path);
  users.setPassword("1001", "pass", ["turn"], 1, "example.org");
  assert.ok(users.findPhone("1001", "example.org"));
  assert.equal(users.find({ username: "1001" }, "turn"), undefined);
  assert.deepEqual(users.list(["turn"], "example.org")[0]?.missing, []);
  assert.equal(users.countWithout("turn"), 0);
  assert.throws(() => users.setPassword("1001", "pass", ["turn"], 1), { code: "bad-user-name" });
  assert.throws(() => users.setPassword("al ice", "pass", [], 1, "example.org"), { code: "bad-user-name" });
  assert.ok(users.remove("1001"));
  assert.deepEqual(users.list([]), []);
});
