import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodePasswordAlgorithm,
  encodePasswordAlgorithms,
  longTermKey,
  userhash,
} from "../../../src/core/stun/credentials.ts";
import { PasswordAlgorithmNumber } from "../../../src/core/stun/registry.ts";
import { hex, toHex } from "../../support/bytes.ts";
import { testCrypto as crypto } from "../../support/crypto.ts";

const { Md5, Sha256 } = PasswordAlgorithmNumber;

test(`RFC 8489 §9.2.2: the key of user "user", realm "realm" and password "pass"`, () => {
  assert.equal(toHex(longTermKey(crypto, Md5, "user", "realm", "pass")), "8493fbc53ba582fb4c044c456bdc40eb");
  assert.equal(longTermKey(crypto, Sha256, "user", "realm", "pass").length, 32);
});

test("RFC 8489 §14.4: USERHASH is the SHA-256 of the name and the realm", () => {
  assert.deepEqual(userhash(crypto, "a", "b"), crypto.sha256(hex("613a62")));
});

test("RFC 8489 §14.11, §14.12: algorithms are numbers with a length of parameters, which is zero", () => {
  assert.equal(toHex(encodePasswordAlgorithms([Sha256, Md5])), "0002000000010000");
  assert.equal(decodePasswordAlgorithm(hex("00010000")), Md5);
  assert.equal(decodePasswordAlgorithm(hex("00020000")), Sha256);
  for (const value of ["", "0002", "00020001", "0002000100", "00030000", "00000000", "0002000400000000"]) {
    assert.equal(decodePasswordAlgorithm(hex(value)), undefined, value);
  }
});
