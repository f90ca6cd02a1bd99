import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeIcmp, encodeIcmp, type IcmpError } from "../../../src/core/turn/icmp.ts";

/** RFC 8656 §11.5: those that a server tells of. */
const told = { 4: [3, 11], 6: [1, 2, 3] } as const;

/** With an MTU where there is one, and zero elsewhere. */
function* errors(family: 4 | 6): Generator<IcmpError> {
  for (const type of told[family]) {
    for (let code = 0; code < 256; code++) {
      const hasMtu = family === 4 ? type === 3 && code === 4 : type === 2;
      yield { type, code, mtu: hasMtu ? 1_280 + code : 0 };
    }
  }
}

test("RFC 8656 §18.13: the type has seven bits, the code nine, and only what was too long has error data", () => {
  const hex = (family: 4 | 6, type: number, code: number) =>
    Buffer.from(encodeIcmp(family, { type, code, mtu: 0x01020304 })).toString("hex");
  assert.equal(hex(4, 3, 3), "0000060300000000");
  assert.equal(hex(4, 3, 4), "0000060401020304");
  assert.equal(hex(4, 11, 1), "0000160100000000");
  assert.equal(hex(6, 1, 4), "0000020400000000");
  assert.equal(hex(6, 2, 0), "0000040001020304");
  assert.equal(hex(6, 3, 255), "000006ff00000000");
  assert.equal(hex(4, 127, 255), "0000feff00000000");
});

test("RFC 8656 §18.13: what one end says of an error is what the other understands", () => {
  for (const family of [4, 6] as const) {
    for (const error of errors(family)) assert.deepEqual(decodeIcmp(family, encodeIcmp(family, error)), error);
  }
});

test("RFC 8656 §18.13: who has taken eight bits for each is understood too", () => {
  for (const family of [4, 6] as const) {
    for (const error of errors(family)) {
      const value = Buffer.alloc(8);
      value.set([error.type, error.code], 2);
      value.writeUInt32BE(error.mtu, 4);
      assert.deepEqual(decodeIcmp(family, value), error);
    }
  }
});
