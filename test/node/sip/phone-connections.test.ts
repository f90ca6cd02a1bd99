import assert from "node:assert/strict";
import { test } from "node:test";
import type { BindingRecord } from "../../../src/core/sip/registrar/binding.ts";
import { PhoneConnections } from "../../../src/node/sip/phone-connections.ts";

function phone(contact: string, connection: number): BindingRecord {
  return { aor: "sip:alice@example.org", contact, flow: { connection } } as BindingRecord;
}

test("a connection is nobody's when its last phone has gone, or come by another", () => {
  const connections = new PhoneConnections();
  assert.equal(connections.add(phone("a", 7)), undefined);
  assert.equal(connections.add(phone("b", 7)), undefined);
  assert.equal(connections.add(phone("a", 7)), undefined, "it has registered again");
  assert.equal(connections.remove(phone("a", 7)), undefined, "another is there");
  assert.equal(connections.add(phone("b", 8)), 7);
  assert.equal(connections.add(phone("b", 0)), 8, "it uses UDP now");
  assert.equal(connections.remove(phone("b", 0)), undefined);
});
