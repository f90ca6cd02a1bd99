import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  Attribute,
  ErrorCode,
  isComprehensionRequired,
  MAGIC_COOKIE,
  MessageClass,
  Method,
} from "../../../src/core/stun/registry.ts";

/** Rows of one of IANA's tables that name a single value: value to name. */
function registry(table: number): Map<number, string> {
  const csv = readFileSync(new URL(`../../vectors/iana/stun-parameters-${table}.csv`, import.meta.url), "utf8");
  const rows = csv.matchAll(/^(0x[\dA-F]+|\d+),("[^"]*"|[^,]*),/gm);
  return new Map([...rows].map(([, value, name]) => [Number(value), name as string]));
}

/** "XOR-MAPPED-ADDRESS", "XorMappedAddress" and "Xor Mapped Address" are one name. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z\d]/g, "");
}

function agrees(
  table: Readonly<Record<string, number>>,
  iana: Map<number, string>,
  renamed: Record<string, string>,
): void {
  for (const [name, value] of Object.entries(table)) {
    const registered = iana.get(value);
    assert.ok(registered, `${name}: 0x${value.toString(16)} is not registered`);
    assert.equal(plain(renamed[name] ?? name), plain(registered), name);
  }
  assert.equal(new Set(Object.values(table)).size, Object.keys(table).length);
}

test("IANA's STUN methods", () => {
  agrees(Method, registry(2), {});
});

test("IANA's STUN attributes", () => {
  // RFC 5780 uses CHANGE-REQUEST with the number that RFC 5389 had reserved (erratum 4233).
  const classic = (name: string) => `Reserved; was ${name} prior to [RFC5389]`;
  agrees(Attribute, registry(4), {
    ChangeRequest: classic("CHANGE-REQUEST"),
    SourceAddress: classic("SOURCE-ADDRESS"),
    ChangedAddress: classic("CHANGED-ADDRESS"),
  });
});

test("IANA's STUN error codes", () => {
  agrees(ErrorCode, registry(6), { Unauthenticated: "Unauthorized" });
});

test("RFC 8489 §14: types below 0x8000 must be understood", () => {
  assert.ok(isComprehensionRequired(Attribute.Userhash) && isComprehensionRequired(0x7fff));
  assert.ok(!isComprehensionRequired(Attribute.AdditionalAddressFamily) && !isComprehensionRequired(0xffff));
});

test("RFC 8489 §5: the magic cookie and the classes", () => {
  assert.equal(MAGIC_COOKIE, 0x2112a442);
  assert.deepEqual(MessageClass, { Request: 0, Indication: 1, Success: 2, Error: 3 });
});
