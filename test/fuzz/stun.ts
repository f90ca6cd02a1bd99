/** StunView: against a decoder written the slow way, and against the writer. */
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { blankAddress, ipv4, parseIp } from "../../src/core/base/address.ts";
import { hasIntegritySha1, hasIntegritySha256 } from "../../src/core/stun/integrity.ts";
import { Attribute, MessageClass, Method } from "../../src/core/stun/registry.ts";
import { StunView } from "../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../src/core/stun/writer.ts";
import { hex } from "../support/bytes.ts";
import { type SeededRandom, testCrypto } from "../support/crypto.ts";
import * as rfc5769 from "../vectors/rfc5769.ts";
import * as rfc8489 from "../vectors/rfc8489.ts";
import type { Target } from "./target.ts";

const key = testCrypto.importKey(hex("00112233"));

function request(method: number): StunWriter {
  return new StunWriter().begin(method, MessageClass.Request, messageId(hex("000102030405060708090a0b")));
}

/** Real messages of every method, attribute and seal. */
export const stunSeeds: readonly Uint8Array[] = [
  rfc5769.sampleRequest,
  rfc5769.sampleIpv4Response,
  rfc5769.sampleIpv6Response,
  rfc5769.sampleLongTermRequest,
  rfc8489.sampleSha256Request,
  hex("0001 0000 000102030405060708090a0b0c0d0e0f"),
  request(Method.Binding).fingerprint().finish(),
  request(Method.Allocate)
    .u32(Attribute.RequestedTransport, 17 << 24)
    .u32(Attribute.AdditionalAddressFamily, 2 << 24)
    .u32(Attribute.Lifetime, 600)
    .bytes(Attribute.EvenPort, hex("80"))
    .text(Attribute.Username, "user")
    .text(Attribute.Realm, "example.org")
    .text(Attribute.Nonce, "obMatJos2AAAB0123456789abcdefghijklm")
    .integritySha1(testCrypto, key)
    .integritySha256(testCrypto, key)
    .fingerprint()
    .finish(),
  request(Method.CreatePermission)
    .xorAddress(Attribute.XorPeerAddress, ipv4(0x08080808, 53))
    .xorAddress(Attribute.XorPeerAddress, parseIp("2001:db8::1", 53) ?? blankAddress())
    .integritySha256(testCrypto, key, 16)
    .finish(),
  new StunWriter()
    .begin(Method.Send, MessageClass.Indication, messageId(hex("000102030405060708090a0b")))
    .xorAddress(Attribute.XorPeerAddress, ipv4(0x08080808, 53))
    .bytes(Attribute.Data, new Uint8Array(173))
    .finish(),
  new StunWriter()
    .begin(Method.Allocate, MessageClass.Error, messageId(hex("000102030405060708090a0b")))
    .errorCode(420, "Unknown Attribute")
    .u16List(Attribute.UnknownAttributes, [1, 2, 3])
    .finish(),
];

type Decoded = readonly (readonly [type: number, value: Uint8Array])[];
const SEALS: readonly number[] = [Attribute.MessageIntegrity, Attribute.MessageIntegritySha256, Attribute.Fingerprint];

/** The message's attributes as the RFC says, or undefined when it is no message. */
function oracle(data: Uint8Array): Decoded | undefined {
  const bytes = new DataView(data.buffer, data.byteOffset, data.length);
  if (data.length < 20 || bytes.getUint8(0) >= 0x40 || data.length % 4 !== 0) return undefined;
  if (bytes.getUint16(2) !== data.length - 20) return undefined;
  const all: [number, Uint8Array][] = [];
  for (let at = 20; at < data.length; ) {
    const [type, length] = [bytes.getUint16(at), bytes.getUint16(at + 2)];
    const end = at + 4 + Math.ceil(length / 4) * 4;
    if (end > data.length) return undefined;
    if (type === Attribute.Fingerprint) {
      if (end !== data.length || length !== 4) return undefined;
      if (bytes.getUint32(at + 4) !== (crc32(data.subarray(0, at)) ^ 0x5354554e) >>> 0) return undefined;
    }
    const seals = all.map(([sealed]) => SEALS.indexOf(sealed));
    if (Math.max(-1, ...seals) < 0 || SEALS.indexOf(type) > Math.max(...seals)) {
      all.push([type, data.slice(at + 4, at + 4 + length)]);
    }
    at = end;
  }
  return all.length > 48 ? undefined : all;
}

const view = new StunView();
const again = new StunView();
const writer = new StunWriter();
const address = blankAddress();

function attributes(v: StunView): Decoded {
  return Array.from({ length: v.attributeCount }, (_, i) => [v.typeAt(i), v.bytesAt(i).slice()] as const);
}

/** Reads everything in every way: whatever it is, it is read without an exception. */
function readAll(v: StunView): void {
  for (let i = 0; i < v.attributeCount; i++) {
    const type = v.typeAt(i);
    v.xorAddressAt(i, address);
    v.addressAt(i, address);
    v.text(type, 763);
    v.u32(type);
    assert.ok(v.indexOf(type) <= i);
  }
  const before = v.data.slice();
  hasIntegritySha1(v, testCrypto, key);
  hasIntegritySha256(v, testCrypto, key);
  assert.deepEqual(v.data, before);
}

function encodeAgain(v: StunView): void {
  writer.begin(v.method, v.class, v.data.subarray(4, 20));
  const isFingerprint = (i: number): boolean => v.typeAt(i) === Attribute.Fingerprint;
  for (let i = 0; i < v.attributeCount; i++) {
    if (isFingerprint(i)) writer.fingerprint();
    else writer.bytes(v.typeAt(i), v.bytesAt(i));
  }
  const encoded = writer.finish();
  assert.equal(again.decode(encoded), undefined);
  assert.deepEqual([again.method, again.class, again.classic], [v.method, v.class, v.classic]);
  const kept = (all: Decoded): Decoded => all.filter(([type]) => type !== Attribute.Fingerprint);
  assert.deepEqual(kept(attributes(again)), kept(attributes(v)));
}

export const stunTarget: Target = {
  name: "stun",
  seeds: stunSeeds,
  repair(input: Uint8Array, random: SeededRandom): Uint8Array {
    if (input.length < 20 || random.oneIn(3)) return input;
    const out = input.slice(0, input.length & ~3);
    const bytes = new DataView(out.buffer);
    bytes.setUint16(2, out.length - 20);
    if (out.length < 28 || random.oneIn(2)) return out;
    bytes.setUint32(out.length - 8, 0x80280004);
    bytes.setUint32(out.length - 4, crc32(out.subarray(0, -8)) ^ 0x5354554e);
    return out;
  },
  run(input: Uint8Array): boolean {
    const expected = oracle(input);
    assert.equal(view.decode(input) === undefined, expected !== undefined);
    for (let end = Math.max(0, input.length - 64); end < input.length; end++) {
      const failure = again.decode(input.subarray(0, end));
      if (expected !== undefined) assert.notEqual(failure, undefined, `${end} bytes of it`);
    }
    if (expected === undefined) return false;
    assert.deepEqual(attributes(view), expected);
    readAll(view);
    encodeAgain(view);
    return true;
  },
  decode: (input) => void view.decode(input),
};
