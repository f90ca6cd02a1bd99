/** Whose relay is where: shards that publish, look, and die. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, parseIp } from "../../../src/core/base/address.ts";
import type { RelayAddress } from "../../../src/core/base/relay-places.ts";
import { NOBODY } from "../../../src/core/turn/server/shard.ts";
import { createOwners, OwnersOfAll, PortOwners } from "../../../src/node/shard/port-owners.ts";

const at = (text: string, port = 0) => parseIp(text, port) as Address;
const plain = { bound: at("192.0.2.1"), advertised: at("192.0.2.1") };
const natted = { bound: at("10.0.0.1"), advertised: at("203.0.113.9") };
const six = { bound: at("2001:db8::ffff:1"), advertised: at("2001:db8::ffff:1") };

function owners(...addresses: readonly RelayAddress[]) {
  const shared = createOwners({ min: 50_000, max: 50_999 });
  const all = new OwnersOfAll(shared);
  all.setAddresses(addresses);
  const [one, other] = [new PortOwners(shared, 0), new PortOwners(shared, 1)] as const;
  return { all, one, other };
}

test("an owner is found by bound and by advertised address and exact port, and by nobody at home", () => {
  const { one, other } = owners(plain, natted, six);
  for (const { bound, advertised } of [plain, natted, six]) {
    one.publish({ ...bound, port: 50_123 });
    for (const address of [bound, advertised]) {
      assert.equal(other.find({ ...address, port: 50_123 }), 0);
      assert.equal(one.find({ ...address, port: 50_123 }), NOBODY);
      for (const port of [50_122, 50_124, 49_999, 51_000, 0, 65_535]) {
        assert.equal(other.find({ ...address, port }), NOBODY);
      }
    }
  }
  assert.equal(other.find(at("192.0.2.2", 50_123)), NOBODY);
  assert.equal(other.find(at("::192.0.2.1", 50_123)), NOBODY, "the other family's with the same words");
  one.unpublish({ ...plain.bound, port: 50_123 });
  assert.equal(other.find({ ...plain.bound, port: 50_123 }), NOBODY);
  assert.equal(other.find({ ...natted.bound, port: 50_123 }), 0);
});

test("who has handed a port over does not take it from its new owner", () => {
  const { one, other } = owners(plain);
  const port = { ...plain.bound, port: 50_001 };
  one.publish(port);
  other.publish(port);
  one.unpublish(port);
  assert.equal(one.find(port), 1);
});

test("a shard that died owns nothing, and the others what they had", () => {
  const { all, one, other } = owners(plain, natted);
  one.publish({ ...plain.bound, port: 50_000 });
  one.publish({ ...natted.bound, port: 50_999 });
  other.publish({ ...plain.bound, port: 50_002 });
  all.clear(0);
  assert.equal(other.find({ ...plain.bound, port: 50_000 }), NOBODY);
  assert.equal(other.find({ ...natted.bound, port: 50_999 }), NOBODY);
  assert.equal(one.find({ ...plain.bound, port: 50_002 }), 1);
});

test("addresses that go take their ports along, those that stay keep them, and room is used again", () => {
  const { all, one, other } = owners(plain, natted);
  one.publish({ ...plain.bound, port: 50_000 });
  one.publish({ ...natted.bound, port: 50_000 });
  all.setAddresses([natted]);
  assert.equal(other.find({ ...plain.bound, port: 50_000 }), NOBODY);
  assert.equal(other.find({ ...natted.advertised, port: 50_000 }), 0);
  one.publish({ ...plain.bound, port: 50_001 });
  assert.equal(other.find({ ...plain.bound, port: 50_001 }), NOBODY, "no such address");
  all.setAddresses([natted, six]);
  assert.equal(other.find({ ...six.bound, port: 50_000 }), NOBODY, "nothing is left of the former address");
  const many = Array.from({ length: 40 }, (_, i) => ({ bound: at(`192.0.2.${i}`), advertised: at(`192.0.2.${i}`) }));
  all.setAddresses(many);
  one.publish({ ...at("192.0.2.0"), port: 50_000 });
  one.publish({ ...at("192.0.2.39"), port: 50_000 });
  assert.equal(other.find(at("192.0.2.0", 50_000)), 0);
  assert.equal(other.find(at("192.0.2.39", 50_000)), NOBODY, "there is room for sixteen");
});
