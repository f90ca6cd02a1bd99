import assert from "node:assert/strict";
import { test } from "node:test";
import { blankAddress, formatAddress } from "../../../src/core/base/address.ts";
import { decodePasswordAlgorithm, longTermKey, userhash } from "../../../src/core/stun/credentials.ts";
import { hasIntegritySha1, hasIntegritySha256 } from "../../../src/core/stun/integrity.ts";
import { opaqueString } from "../../../src/core/stun/opaque-string.ts";
import { Attribute, MessageClass, Method, PasswordAlgorithmNumber } from "../../../src/core/stun/registry.ts";
import { securityFeatures } from "../../../src/core/stun/security-features.ts";
import { StunView } from "../../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../../src/core/stun/writer.ts";
import { testCrypto as crypto } from "../../support/crypto.ts";
import * as rfc5769 from "../../vectors/rfc5769.ts";
import * as rfc8489 from "../../vectors/rfc8489.ts";

const { Md5, Sha256 } = PasswordAlgorithmNumber;

function utf8Key(text: string) {
  return crypto.importKey(new TextEncoder().encode(text));
}

function decoded(message: Uint8Array): StunView {
  const view = new StunView();
  assert.equal(view.decode(message), undefined);
  return view;
}

/** A flipped bit in any byte must be seen, by the decoder or by `verifies`. */
function sealed(message: Uint8Array, verifies: (view: StunView) => boolean): void {
  const view = decoded(message);
  const fingerprintAt = view.has(Attribute.Fingerprint) ? message.length - 8 : message.length;
  for (let at = 0; at < message.length; at++) {
    const broken = message.slice();
    broken[at] = (broken[at] as number) ^ 0x10;
    const intact = view.decode(broken) === undefined && verifies(view);
    // FINGERPRINT under another type is an attribute that no integrity covers, and is ignored.
    const isFingerprintType = at === fingerprintAt || at === fingerprintAt + 1;
    assert.equal(intact, isFingerprintType, `byte ${at}`);
  }
}

test("RFC 5769 §2.1: the sample request decodes and verifies, and no byte of it can be changed", () => {
  const key = utf8Key(rfc5769.SHORT_TERM_PASSWORD);
  const view = decoded(rfc5769.sampleRequest);
  assert.equal(view.method, Method.Binding);
  assert.equal(view.class, MessageClass.Request);
  assert.ok(!view.classic);
  assert.equal(view.attributeCount, 6);
  assert.equal(view.text(Attribute.Software, 763), "STUN test client");
  assert.equal(view.text(Attribute.Username, 508), "evtj:h6vY");
  assert.equal(view.u32(Attribute.Priority), 0x6e0001ff);
  assert.equal(view.bytes(Attribute.IceControlled)?.length, 8);
  assert.ok(hasIntegritySha1(view, crypto, key));
  assert.ok(!hasIntegritySha1(view, crypto, utf8Key("VOkJxbRl1RmTxUk/WvJxBu")));
  assert.ok(!hasIntegritySha256(view, crypto, key));
  sealed(rfc5769.sampleRequest, (v) => hasIntegritySha1(v, crypto, key));
});

for (const [clause, message, address] of [
  ["2.2", rfc5769.sampleIpv4Response, "192.0.2.1:32853"],
  ["2.3", rfc5769.sampleIpv6Response, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"],
] as const) {
  test(`RFC 5769 §${clause}: the sample response decodes to ${address} and verifies`, () => {
    const key = utf8Key(rfc5769.SHORT_TERM_PASSWORD);
    const view = decoded(message);
    assert.equal(view.class, MessageClass.Success);
    assert.equal(view.text(Attribute.Software, 763), "test vector");
    const mapped = blankAddress();
    assert.ok(view.xorAddressAt(view.indexOf(Attribute.XorMappedAddress), mapped));
    assert.equal(formatAddress(mapped), address);
    assert.ok(hasIntegritySha1(view, crypto, key));
    sealed(message, (v) => hasIntegritySha1(v, crypto, key));
  });
}

test("RFC 5769 §2.4: the long-term request verifies with its key, and is built again byte for byte", () => {
  const { LONG_TERM_USERNAME: username, LONG_TERM_REALM: realm, LONG_TERM_PASSWORD: password } = rfc5769;
  const key = crypto.importKey(longTermKey(crypto, Md5, username, realm, password));
  const message = rfc5769.sampleLongTermRequest;
  const view = decoded(message);
  assert.equal(view.text(Attribute.Username, 508), username);
  assert.equal(opaqueString(username), username);
  assert.equal(view.text(Attribute.Realm, 763), realm);
  assert.equal(view.text(Attribute.Nonce, 763), "f//499k954d6OL34oL9FSTvy64sA");
  assert.ok(hasIntegritySha1(view, crypto, key));
  assert.ok(!hasIntegritySha1(view, crypto, crypto.importKey(longTermKey(crypto, Sha256, username, realm, password))));
  sealed(message, (v) => hasIntegritySha1(v, crypto, key));
  const built = new StunWriter()
    .begin(Method.Binding, MessageClass.Request, messageId(message.subarray(8, 20)))
    .text(Attribute.Username, username)
    .text(Attribute.Nonce, "f//499k954d6OL34oL9FSTvy64sA")
    .text(Attribute.Realm, realm)
    .integritySha1(crypto, key)
    .finish();
  assert.deepEqual(built, message);
});

test("RFC 8489 §B.1 with erratum 6268: the request verifies with the SHA-256 key, and is built again byte for byte", () => {
  const { USERNAME: username, REALM: realm, PASSWORD: password, NONCE: nonce } = rfc8489;
  const key = crypto.importKey(longTermKey(crypto, Sha256, username, realm, password));
  const message = rfc8489.sampleSha256Request;
  const view = decoded(message);
  assert.deepEqual(view.bytes(Attribute.Userhash), new Uint8Array(userhash(crypto, username, realm)));
  assert.equal(view.text(Attribute.Nonce, 763), nonce);
  assert.equal(view.text(Attribute.Realm, 763), realm);
  assert.equal(decodePasswordAlgorithm(view.bytes(Attribute.PasswordAlgorithm) as Uint8Array), Sha256);
  assert.ok(hasIntegritySha256(view, crypto, key, 32));
  assert.ok(!hasIntegritySha256(view, crypto, crypto.importKey(longTermKey(crypto, Md5, username, realm, password))));
  assert.ok(!hasIntegritySha1(view, crypto, key));
  sealed(message, (v) => hasIntegritySha256(v, crypto, key));
  const built = new StunWriter()
    .begin(Method.Binding, MessageClass.Request, messageId(message.subarray(8, 20)))
    .bytes(Attribute.Userhash, userhash(crypto, username, realm))
    .text(Attribute.Nonce, nonce)
    .text(Attribute.Realm, realm)
    .bytes(Attribute.PasswordAlgorithm, Uint8Array.of(0, Sha256, 0, 0))
    .integritySha256(crypto, key)
    .finish();
  assert.deepEqual(built, message);
});

test("RFC 8489 §B.1 as printed, without erratum 6268: its length is not its length", () => {
  assert.equal(new StunView().decode(rfc8489.printedSha256Request), "bad-length");
});

test("RFC 8489 §B.1 with erratum 6290: bit 0 of the security features is the rightmost, and the nonce sets bit 1", () => {
  // "AAAC" is 0x000002: USERNAME-ANONYMITY alone, the one feature that the request uses.
  assert.equal(securityFeatures(rfc8489.NONCE), 2);
});
