import assert from "node:assert/strict";
import { test } from "node:test";
import type { SipUserKeys } from "../../src/core/edge/outputs.ts";
import { PhoneKeys } from "../../src/server/services/sip/phone-keys.ts";
import { SeededRandom } from "../support/crypto.ts";

const random = new SeededRandom(3);

function newKeys(): SipUserKeys {
  return { md5: random.bytes(16), sha256: random.bytes(32) };
}

test("a key is looked up once, until its user changes", () => {
  const users = new Map([
    ["alice", newKeys()],
    ["bob", newKeys()],
  ]);
  const asked: string[] = [];
  const keys = new PhoneKeys((name) => {
    asked.push(name);
    return users.get(name);
  });
  for (const name of ["alice", "bob", "alice", "alice"]) {
    const { md5, sha256 } = keys.find(name) ?? assert.fail(name);
    assert.deepEqual([...md5, ...sha256], [...(users.get(name)?.md5 ?? []), ...(users.get(name)?.sha256 ?? [])]);
    assert.deepEqual([md5.length, sha256.length], [16, 32]);
  }
  assert.deepEqual(asked, ["alice", "bob"]);

  const changed = newKeys();
  users.set("alice", changed);
  users.delete("bob");
  keys.forget("alice");
  keys.forget("bob");
  assert.deepEqual(Buffer.from(keys.find("alice")?.md5 ?? []), Buffer.from(changed.md5));
  assert.equal(keys.find("bob"), undefined);
  assert.deepEqual(asked, ["alice", "bob", "alice", "bob"]);
});

test("a wrong password takes one look into the database, of who is known as of who is not", () => {
  let asked = 0;
  let alice = newKeys();
  const keys = new PhoneKeys((name) => {
    asked++;
    return name === "alice" ? alice : undefined;
  });
  const looks = (name: string): number => {
    const before = asked;
    keys.find(name);
    keys.doubt(name);
    return asked - before;
  };
  assert.deepEqual([looks("alice"), looks("nobody")], [1, 1], "not kept yet");
  keys.find("alice");
  assert.deepEqual([looks("alice"), looks("nobody")], [1, 1], "kept");
  keys.find("alice");
  alice = newKeys();
  looks("alice");
  assert.deepEqual(
    Buffer.from(keys.find("alice")?.md5 ?? []),
    Buffer.from(alice.md5),
    "another password is noticed at once",
  );
});

test("who is unknown is looked up every time, and may be there the next", () => {
  const users = new Map<string, SipUserKeys>();
  const keys = new PhoneKeys((name) => users.get(name));
  assert.equal(keys.find("carol"), undefined);
  users.set("carol", newKeys());
  assert.ok(keys.find("carol"));
});
