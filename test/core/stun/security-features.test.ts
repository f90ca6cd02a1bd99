import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeNonceCookie,
  NONCE_COOKIE_LENGTH,
  SecurityFeature,
  securityFeatures,
} from "../../../src/core/stun/security-features.ts";

const { PasswordAlgorithms, UsernameAnonymity } = SecurityFeature;

test("RFC 8489 §18.1 with erratum 6290: password algorithms are bit 0, username anonymity bit 1, from the right", () => {
  assert.equal(encodeNonceCookie(0), "obMatJos2AAAA");
  assert.equal(encodeNonceCookie(PasswordAlgorithms), "obMatJos2AAAB");
  assert.equal(encodeNonceCookie(UsernameAnonymity), "obMatJos2AAAC");
  assert.equal(encodeNonceCookie(PasswordAlgorithms | UsernameAnonymity), "obMatJos2AAAD");
  assert.equal(encodeNonceCookie(0xfc0fff), "obMatJos2/A//");
});

test("RFC 8489 §9.2: the bits are read from a nonce that begins with the cookie, and are none otherwise", () => {
  for (const bits of [0, 1, 2, 3, 0x800000, 0xabcdef, 0xffffff]) {
    const cookie = encodeNonceCookie(bits);
    assert.equal(cookie.length, NONCE_COOKIE_LENGTH);
    assert.equal(securityFeatures(`${cookie}the rest`), bits);
    assert.equal(securityFeatures(cookie), bits);
  }
  for (const nonce of [
    "",
    "obMatJos2",
    "obMatJos2AAA",
    "obMatJos2AA=B",
    "obMatJos2AA B",
    "xobMatJos2AAAD",
    "f//499k954d6",
  ]) {
    assert.equal(securityFeatures(nonce), 0, nonce);
  }
});
