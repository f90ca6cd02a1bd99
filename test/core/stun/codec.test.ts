import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { type Address, blankAddress, ipv4, parseIp } from "../../../src/core/base/address.ts";
import { writeU16, writeU32 } from "../../../src/core/base/bytes.ts";
import { fingerprint } from "../../../src/core/stun/fingerprint.ts";
import { hasIntegritySha1, hasIntegritySha256 } from "../../../src/core/stun/integrity.ts";
import { Attribute, MAGIC_COOKIE, MessageClass, Method } from "../../../src/core/stun/registry.ts";
import { looksLikeStun, StunView } from "../../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../../src/core/stun/writer.ts";
import { hex, toHex } from "../../support/bytes.ts";
import { testCrypto as crypto } from "../../support/crypto.ts";

const id = messageId(hex("000102030405060708090a0b"));
const key = crypto.importKey(hex("00112233445566778899aabbccddeeff"));
const otherKey = crypto.importKey(hex("ff"));

function request(method: number = Method.Binding): StunWriter {
  return new StunWriter().begin(method, MessageClass.Request, id);
}

function decoded(message: Uint8Array): StunView {
  const view = new StunView();
  assert.equal(view.decode(message), undefined);
  return view;
}

/** A message of raw attributes, which no writer would build. */
function raw(...attributes: readonly (readonly [type: number, value: Uint8Array])[]): Uint8Array {
  const writer = request();
  for (const [type, value] of attributes) writer.bytes(type, value);
  return writer.finish();
}

type Part = { kind: "bytes"; type: number; value: Uint8Array } | { kind: "address"; type: number; address: Address };

const word = fc.integer({ min: -0x80000000, max: 0x7fffffff });
const port = fc.nat(0xffff);
const address: fc.Arbitrary<Address> = fc.oneof(
  fc.tuple(word, port).map(([w, p]) => ipv4(w, p)),
  fc
    .tuple(word, word, word, word, port)
    .map(([w0, w1, w2, w3, p]): Address => ({ family: 6, w0, w1, w2, w3, port: p, text: "" })),
);
const seals: number[] = [Attribute.MessageIntegrity, Attribute.MessageIntegritySha256, Attribute.Fingerprint];
const type = fc.nat(0xffff).filter((t) => !seals.includes(t));
const part: fc.Arbitrary<Part> = fc.oneof(
  fc.record({ kind: fc.constant("bytes" as const), type, value: fc.uint8Array({ maxLength: 70 }) }),
  fc.record({ kind: fc.constant("address" as const), type, address }),
);
const message = fc.record({
  method: fc.nat(0xfff),
  class: fc.constantFrom(...Object.values(MessageClass)),
  id: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  parts: fc.array(part, { maxLength: 20 }),
  seal: fc.record({ sha1: fc.boolean(), sha256: fc.constantFrom(0, 16, 20, 24, 28, 32), fingerprint: fc.boolean() }),
});

/** One writer for all, as in the server: an earlier message must leave no trace in a later one. */
const shared = new StunWriter();

function build(m: typeof message extends fc.Arbitrary<infer T> ? T : never): Uint8Array {
  shared.begin(m.method, m.class, m.id);
  for (const p of m.parts) {
    if (p.kind === "bytes") shared.bytes(p.type, p.value);
    else shared.xorAddress(p.type, p.address);
  }
  if (m.seal.sha1) shared.integritySha1(crypto, key);
  if (m.seal.sha256 > 0) shared.integritySha256(crypto, key, m.seal.sha256);
  if (m.seal.fingerprint) shared.fingerprint();
  return shared.finish();
}

test("what was written is read back: method, class, ID, attributes in order, addresses, integrity, fingerprint", () => {
  const view = new StunView();
  const read = blankAddress();
  fc.assert(
    fc.property(message, (m) => {
      const bytes = build(m);
      assert.equal(view.decode(bytes), undefined);
      assert.equal(view.method, m.method);
      assert.equal(view.class, m.class);
      assert.deepEqual(bytes.subarray(4, 20), m.id);
      for (const [i, p] of m.parts.entries()) {
        assert.equal(view.typeAt(i), p.type);
        if (p.kind === "bytes") assert.deepEqual(view.bytesAt(i), p.value);
        else {
          assert.ok(view.xorAddressAt(i, read));
          assert.deepEqual(read, p.address);
        }
      }
      const sealCount = Number(m.seal.sha1) + Number(m.seal.sha256 > 0) + Number(m.seal.fingerprint);
      assert.equal(view.attributeCount, m.parts.length + sealCount);
      assert.equal(hasIntegritySha1(view, crypto, key), m.seal.sha1);
      assert.equal(hasIntegritySha256(view, crypto, key), m.seal.sha256 > 0);
      assert.ok(!hasIntegritySha1(view, crypto, otherKey) && !hasIntegritySha256(view, crypto, otherKey));
      assert.deepEqual(bytes, build(m), "verifying leaves the bytes as they were");
    }),
    { numRuns: 500 },
  );
});

test("byte by byte: no proper part of a message is a message, nor is a message with bytes behind it", () => {
  const view = new StunView();
  fc.assert(
    fc.property(message, (m) => {
      const bytes = build(m);
      for (let end = 0; end < bytes.length; end++) assert.notEqual(view.decode(bytes.subarray(0, end)), undefined);
      const longer = new Uint8Array(bytes.length + 4);
      longer.set(bytes);
      assert.equal(view.decode(longer), "bad-length");
    }),
    { numRuns: 100 },
  );
});

test("RFC 8489 §5: a message starts with two zero bits, and its type interleaves method and class", () => {
  const bytes = new StunWriter().begin(0xfff, MessageClass.Error, id).finish();
  assert.equal(toHex(bytes), `3fff0000${toHex(id)}`);
  assert.equal(toHex(request(Method.Allocate).finish().subarray(0, 2)), "0003");
  assert.equal(toHex(new StunWriter().begin(0x003, MessageClass.Error, id).finish().subarray(0, 2)), "0113");
  assert.equal(toHex(new StunWriter().begin(0x080, MessageClass.Success, id).finish().subarray(0, 2)), "0300");
  for (const first of [0x40, 0x80, 0xff]) {
    bytes[0] = first;
    assert.equal(new StunView().decode(bytes), "not-stun");
    assert.ok(!looksLikeStun(bytes));
  }
  assert.ok(!looksLikeStun(new Uint8Array(0)) && looksLikeStun(Uint8Array.of(0x3f)));
});

test("RFC 8489 §5: the length is a multiple of four and exactly what follows the header", () => {
  const bytes = raw([Attribute.Software, hex("00112233")]);
  for (const length of [0, 4, 7, 9, 10, 12, 0xffff, 0xfffc]) {
    writeU16(bytes, 2, length);
    assert.equal(new StunView().decode(bytes), "bad-length", `${length}`);
  }
  assert.equal(new StunView().decode(hex(`0001 0003 ${toHex(id)} 000000`)), "bad-length");
  for (const short of [0, 1, 19]) assert.equal(new StunView().decode(bytes.subarray(0, short)), "too-short");
});

test("RFC 8489 §14: an attribute that claims more than there is makes the message bad", () => {
  for (const length of [5, 8, 0xfff8, 0xffff]) {
    const bytes = raw([Attribute.Software, hex("00112233")]);
    writeU16(bytes, 22, length);
    assert.equal(new StunView().decode(bytes), "bad-attribute", `${length}`);
  }
});

test("RFC 8489 §14: padding is written as zero, also where the writer's buffer held something", () => {
  const writer = new StunWriter();
  writer.begin(Method.Binding, MessageClass.Request, id).bytes(Attribute.Data, new Uint8Array(400).fill(0xff)).finish();
  for (let length = 0; length < 8; length++) {
    const value = new Uint8Array(length).fill(0xee);
    const bytes = writer.begin(Method.Binding, MessageClass.Request, id).bytes(Attribute.Data, value).finish();
    assert.equal(bytes.length % 4, 0);
    assert.ok(bytes.subarray(24 + length).every((b) => b === 0));
  }
  writer.begin(Method.Binding, MessageClass.Error, id).errorCode(438, "Stale");
  assert.equal(toHex(writer.finish().subarray(20)), "000900090000042653746" + "16c65000000");
});

test("RFC 8489 §14: what padding holds does not matter to a reader", () => {
  const bytes = raw([Attribute.Software, hex("001122")]);
  bytes[27] = 0xff;
  assert.deepEqual(decoded(bytes).bytes(Attribute.Software), hex("001122"));
});

test("RFC 8489 §14: of an attribute that appears twice the first counts", () => {
  const view = decoded(raw([Attribute.Realm, hex("61")], [Attribute.Realm, hex("62")], [Attribute.Nonce, hex("63")]));
  assert.equal(view.text(Attribute.Realm, 10), "a");
  assert.equal(view.indexOf(Attribute.Realm), 0);
  assert.equal(view.attributeCount, 3);
});

test("a message of more than 48 attributes is refused, so that nobody's walk is long", () => {
  const software = [Attribute.Software, new Uint8Array(0)] as const;
  assert.equal(decoded(raw(...Array.from({ length: 48 }, () => software))).attributeCount, 48);
  assert.equal(new StunView().decode(raw(...Array.from({ length: 49 }, () => software))), "too-many-attributes");
});

test("the longest message, 65,552 bytes of a stream: its last attribute is where it is", () => {
  const view = decoded(raw([Attribute.Data, new Uint8Array(65_520)], [Attribute.Lifetime, hex("deadbeef")]));
  assert.equal(view.data.length, 65_552);
  assert.equal(view.u32(Attribute.Lifetime), 0xdeadbeef);
  assert.deepEqual(view.data.subarray(4, 20), id);
});

test("RFC 8489 §14.5: what follows MESSAGE-INTEGRITY is ignored, but MESSAGE-INTEGRITY-SHA256 and FINGERPRINT", () => {
  const writer = request().text(Attribute.Username, "a").integritySha1(crypto, key).text(Attribute.Realm, "injected");
  const view = decoded(writer.integritySha256(crypto, key).fingerprint().finish());
  assert.deepEqual(
    Array.from({ length: view.attributeCount }, (_, i) => view.typeAt(i)),
    [Attribute.Username, Attribute.MessageIntegrity, Attribute.MessageIntegritySha256, Attribute.Fingerprint],
  );
  assert.ok(!view.has(Attribute.Realm));
  assert.ok(hasIntegritySha1(view, crypto, key) && hasIntegritySha256(view, crypto, key));
});

test("RFC 8489 §14.6: what follows MESSAGE-INTEGRITY-SHA256 is ignored, MESSAGE-INTEGRITY too, but FINGERPRINT is not", () => {
  const writer = request().integritySha256(crypto, key).integritySha1(crypto, key).text(Attribute.Realm, "injected");
  const view = decoded(writer.fingerprint().finish());
  assert.equal(view.attributeCount, 2);
  assert.ok(hasIntegritySha256(view, crypto, key));
  assert.ok(!hasIntegritySha1(view, crypto, key));
  assert.ok(view.has(Attribute.Fingerprint));
  const twice = request().integritySha256(crypto, key).integritySha1(crypto, key).integritySha256(crypto, otherKey);
  assert.equal(decoded(twice.finish()).attributeCount, 1);
});

test("RFC 8489 §14.5: the HMAC covers a length that ends with its own attribute, and the first one counts", () => {
  const bytes = request().integritySha1(crypto, key).integritySha1(crypto, otherKey).finish();
  assert.ok(hasIntegritySha1(decoded(bytes), crypto, key));
  assert.ok(!hasIntegritySha1(decoded(bytes), crypto, otherKey));
  for (const length of [0, 16, 19, 24]) {
    const view = decoded(raw([Attribute.MessageIntegrity, new Uint8Array(length)]));
    assert.ok(!hasIntegritySha1(view, crypto, key));
  }
  assert.ok(!hasIntegritySha1(decoded(request().finish()), crypto, key));
});

test("RFC 8489 §14.6: MESSAGE-INTEGRITY-SHA256 of 16 to 32 bytes is accepted, 12, 18 and 36 are refused", () => {
  for (let length = 0; length <= 40; length++) {
    const whole = request().integritySha256(crypto, key, length).finish();
    // Computed here, and not by the writer: what is right to a length, were the length right.
    const head = whole.slice(0, 20);
    writeU16(head, 2, 4 + length);
    const hmac = crypto.hmacSha256(key, head);
    const padded = new Uint8Array((length + 3) & ~3);
    padded.set(hmac.subarray(0, length));
    const bytes = new Uint8Array([...head, 0x00, 0x1c, 0, length, ...padded]);
    writeU16(bytes, 2, 4 + padded.length);
    const accepted = length >= 16 && length <= 32 && length % 4 === 0;
    assert.equal(hasIntegritySha256(decoded(bytes), crypto, key), accepted, `${length} bytes`);
    if (accepted) assert.deepEqual(bytes, whole);
  }
});

test("RFC 8489 §14.6: a usage may ask for more bytes than 16, but never for fewer", () => {
  const of = (length: number): StunView => decoded(request().integritySha256(crypto, key, length).finish());
  assert.ok(hasIntegritySha256(of(32), crypto, key, 32));
  assert.ok(!hasIntegritySha256(of(28), crypto, key, 32));
  assert.ok(!hasIntegritySha256(of(12), crypto, key, 0));
});

test("RFC 8489 §14.7: FINGERPRINT is the CRC-32 of zlib xored with STUN", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.equal(fingerprint(bytes, bytes.length), (crc32(bytes) ^ 0x5354554e) >>> 0);
    }),
  );
});

test("RFC 8489 §14.7: FINGERPRINT is last, has four bytes and is right, or the message is bad", () => {
  const good = request().text(Attribute.Software, "x").fingerprint().finish();
  assert.ok(decoded(good).has(Attribute.Fingerprint));
  for (let at = 0; at < good.length; at++) {
    const bad = good.slice();
    bad[at] = (bad[at] as number) ^ 1;
    const isItsType = at === good.length - 8 || at === good.length - 7;
    assert.equal(new StunView().decode(bad) === undefined, isItsType, `byte ${at}`);
  }
  assert.equal(new StunView().decode(request().fingerprint().text(Attribute.Software, "x").finish()), "bad-attribute");
  assert.equal(new StunView().decode(request().fingerprint().fingerprint().finish()), "bad-attribute");
  assert.equal(new StunView().decode(raw([Attribute.Fingerprint, new Uint8Array(3)])), "bad-attribute");
  assert.equal(new StunView().decode(raw([Attribute.Fingerprint, new Uint8Array(4)])), "bad-fingerprint");
});

test("RFC 8489 §14.1, §14.2: an address has a family of its length, or is none", () => {
  const out = blankAddress();
  const lengths: readonly (readonly [string, boolean])[] = [
    ["0001000000000000", true],
    ["ff01000000000000", true],
    ["0002000000000000", false],
    ["0000000000000000", false],
    ["00010000000000", false],
    ["000100000000000000", false],
    [`00020000${"00".repeat(16)}`, true],
    [`00010000${"00".repeat(16)}`, false],
    [`00020000${"00".repeat(15)}`, false],
    ["", false],
  ];
  for (const [value, valid] of lengths) {
    const view = decoded(raw([Attribute.XorMappedAddress, hex(value)]));
    assert.equal(view.xorAddressAt(0, out), valid, value);
    assert.equal(view.addressAt(0, out), valid, value);
  }
});

test("RFC 8489 §14.1: a plain address is written as it is; RFC 8489 §14.2: an XOR-ed one is hidden", () => {
  for (const text of ["192.0.2.1", "2001:db8::1"]) {
    const a = parseIp(text, 32853) as Address;
    const bytes = request().address(Attribute.MappedAddress, a).xorAddress(Attribute.XorMappedAddress, a).finish();
    const view = decoded(bytes);
    const [plain, hidden] = [blankAddress(), blankAddress()];
    assert.ok(view.addressAt(0, plain) && view.xorAddressAt(1, hidden));
    assert.deepEqual(plain, a);
    assert.deepEqual(hidden, a);
    assert.ok(view.addressAt(1, hidden));
    assert.notDeepEqual(hidden, a);
  }
  const written = request().address(Attribute.MappedAddress, ipv4(0xc0000201, 0x8055)).finish();
  assert.equal(toHex(written.subarray(20)), "0001000800018055c0000201");
});

test("typed values are undefined when absent, too long, of another length, or not UTF-8", () => {
  const view = decoded(
    raw([Attribute.Realm, hex("c3a9c3a9")], [Attribute.Nonce, hex("c3")], [Attribute.Lifetime, hex("000000")]),
  );
  assert.equal(view.text(Attribute.Realm, 4), "éé");
  assert.equal(view.text(Attribute.Realm, 3), undefined);
  assert.equal(view.text(Attribute.Nonce, 10), undefined);
  assert.equal(view.text(Attribute.Username, 10), undefined);
  assert.equal(view.u32(Attribute.Lifetime), undefined);
  assert.equal(view.u32(Attribute.Priority), undefined);
  assert.equal(view.bytes(Attribute.Priority), undefined);
});

test("RFC 8489 §14.8, §14.13: error codes and lists of unknown attributes on the wire", () => {
  const bytes = new StunWriter()
    .begin(Method.Allocate, MessageClass.Error, id)
    .errorCode(420)
    .u16List(Attribute.UnknownAttributes, [0x7f00, 0x0021, 0x0022])
    .finish();
  assert.equal(toHex(bytes.subarray(20)), "00090004000004" + "14000a00067f00002100220000");
  assert.equal(toHex(bytes.subarray(0, 4)), "0113" + "0014");
});

test("RFC 3489 §11.1: a message without the magic cookie is classic, its answer repeats all 16 bytes of its ID", () => {
  const bindingRequest = hex("0001 0008 000102030405060708090a0b0c0d0e0f 0003 0004 00000006");
  const view = decoded(bindingRequest);
  assert.ok(view.classic);
  assert.equal(view.u32(Attribute.ChangeRequest), 6);
  const answer = new StunWriter()
    .begin(view.method, MessageClass.Success, bindingRequest.subarray(4, 20))
    .address(Attribute.MappedAddress, ipv4(0xc0000201, 0x8055))
    .finish();
  assert.equal(toHex(answer), "0101000c000102030405060708090a0b0c0d0e0f0001000800018055c0000201");
  writeU32(bindingRequest, 4, MAGIC_COOKIE);
  assert.ok(!decoded(bindingRequest).classic);
});

test("a view that failed to decode shows no attribute of the message before", () => {
  const view = decoded(raw([Attribute.Realm, hex("61")]));
  view.decode(new Uint8Array(3));
  assert.equal(view.attributeCount, 0);
  assert.ok(!view.has(Attribute.Realm));
});

test("finished bytes are the caller's: the writer's next message does not change them", () => {
  const writer = new StunWriter();
  const first = writer.begin(Method.Binding, MessageClass.Request, id).text(Attribute.Realm, "one").finish();
  const copy = first.slice();
  writer.begin(Method.Binding, MessageClass.Request, id).text(Attribute.Realm, "two").finish();
  assert.deepEqual(first, copy);
});
