/** Decoders of text: addresses, prefixes, UTF-8, base64, OpaqueString, nonces, time-limited names. */
import assert from "node:assert/strict";
import { isIP } from "node:net";
import { blankAddress, formatAddress, formatIp, ipv4, parseIp, sameAddress } from "../../src/core/base/address.ts";
import { decodeBase64, encodeBase64 } from "../../src/core/base/base64.ts";
import { PosternError } from "../../src/core/base/failure.ts";
import type { UnixSeconds } from "../../src/core/base/machine.ts";
import { parsePrefix, prefixContains } from "../../src/core/base/prefix.ts";
import { decodeUtf8, encodeUtf8 } from "../../src/core/base/utf8.ts";
import { parseHostPort } from "../../src/core/stun/host-port.ts";
import { opaqueString } from "../../src/core/stun/opaque-string.ts";
import { NONCE_COOKIE, securityFeatures } from "../../src/core/stun/security-features.ts";
import { formatStunUri, parseStunUri } from "../../src/core/stun/uri.ts";
import { parseTimeLimited } from "../../src/core/turn/server/credentials.ts";
import { Nonces } from "../../src/core/turn/server/nonces.ts";
import { formatTurnUri, parseTurnUri } from "../../src/core/turn/uri.ts";
import { testCrypto } from "../support/crypto.ts";
import type { Target } from "./target.ts";

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function texts(...all: readonly string[]): readonly Uint8Array[] {
  return all.map((text) => encoder.encode(text));
}

function latin1(input: Uint8Array): string {
  return Buffer.from(input).toString("latin1");
}

export const addressTarget: Target = {
  name: "address",
  seeds: texts(
    ...["192.0.2.1", "0.0.0.0", "255.255.255.255", "::", "::1", "1::", "2001:db8:1:2:3:4:5:6", "::ffff:192.0.2.1"],
    ...["fe80::1%eth0", "1:2:3:4:5:6:1.2.3.4", "10.0.0.0/8", "2001:db8::/32", "::/0", "64:ff9b::/96", "ffff::FFFF"],
  ),
  run(input: Uint8Array): boolean {
    const text = latin1(input);
    const parsed = parseIp(text, 7);
    // node:net takes fewer characters in a zone than interfaces may have in their names.
    const [bare, ...zone] = text.split("%");
    const family = zone.length === 0 ? isIP(text) : parsed === undefined ? 0 : isIP(bare as string);
    assert.equal(parsed?.family ?? 0, family);
    const prefix = parsePrefix(text);
    if (prefix !== undefined) {
      assert.ok(prefixContains(prefix, prefix.address));
      assert.ok(prefix.length >= 0 && prefix.length <= (prefix.address.family === 4 ? 32 : 128));
    }
    if (parsed === undefined) return prefix !== undefined;
    const again = parseIp(formatIp(parsed), 7);
    assert.ok(again !== undefined && sameAddress(again, parsed) && formatIp(again) === formatIp(parsed));
    assert.ok(formatAddress(parsed).endsWith(parsed.family === 4 ? ":7" : "]:7"));
    return true;
  },
  decode(input: Uint8Array): void {
    parseIp(latin1(input));
    parsePrefix(latin1(input));
  },
};

function oracle(input: Uint8Array): string | undefined {
  try {
    return strict.decode(input);
  } catch {
    return undefined;
  }
}

export const utf8Target: Target = {
  name: "utf8",
  seeds: texts("plain", "é", "日本語", "\u{10ffff}\u{10000}", "\ud7ff\ue000", "\u07ff\u0800", "\ufeffbom", "\0"),
  run(input: Uint8Array): boolean {
    const text = decodeUtf8(input);
    assert.equal(text, oracle(input));
    const units = Buffer.from(input).toString("utf16le");
    assert.deepEqual(encodeUtf8(units), encoder.encode(units));
    if (text !== undefined) assert.deepEqual(encodeUtf8(text), new Uint8Array(input));
    return text !== undefined;
  },
  decode(input: Uint8Array): void {
    decodeUtf8(input);
    encodeUtf8(latin1(input));
  },
};

export const base64Target: Target = {
  name: "base64",
  seeds: texts("", "Zg==", "Zm8=", "Zm9v", "Zm9vYmFy", "AAAC", "+/+/", "Zg", "____", "f//499k954d6OL34oL9FSTvy64sA"),
  run(input: Uint8Array): boolean {
    const text = latin1(input);
    const canonical = Buffer.from(text, "base64").toString("base64");
    const bytes = decodeBase64(text);
    assert.equal(bytes !== undefined, text === canonical || text === canonical.replace(/=+$/, ""));
    assert.equal(encodeBase64(input), Buffer.from(input).toString("base64"));
    if (bytes !== undefined) assert.equal(encodeBase64(bytes), canonical);
    return bytes !== undefined;
  },
  decode(input: Uint8Array): void {
    decodeBase64(latin1(input));
    encodeBase64(input);
  },
};

export const opaqueStringTarget: Target = {
  name: "opaque-string",
  seeds: texts(
    ...["correct horse battery staple", "πßå", "マトリックス", "TheMªtrⅨ", "l·l", "אב׳", "͵α", "a\u00a0b\u3000c"],
    ...[
      "\u0628\u200c\u0627",
      "\u0915\u094d\u200d",
      "\u0661\u0662",
      "\u06f1",
      "ア・イ",
      "e\u0301",
      "\u1112\u1161\u11ab",
    ],
  ),
  run(input: Uint8Array): boolean {
    const text = decodeUtf8(input);
    if (text === undefined) return false;
    const prepared = opaqueString(text);
    if (prepared === undefined) return false;
    assert.equal(opaqueString(prepared), prepared, "prepared again it stays the same");
    assert.equal(prepared, prepared.normalize("NFC"));
    assert.ok(prepared !== "" && !/[\p{C}\p{Zl}\p{Zp}]/u.test(prepared.replace(/[\u200c\u200d]/g, "")));
    assert.ok(!/(?! )\p{Zs}/u.test(prepared));
    return true;
  },
  decode: (input) => void opaqueString(latin1(input)),
};

/** Parses or refuses in the one way that there is; what was parsed is written and parsed again to the same. */
function parsesUri<T>(parse: (text: string) => T, format: (uri: T) => string, text: string): boolean {
  let uri: T;
  try {
    uri = parse(text);
  } catch (error) {
    assert.ok(error instanceof PosternError && error.code === "bad-uri", String(error));
    return false;
  }
  assert.deepEqual(parse(format(uri)), uri);
  return true;
}

export const uriTarget: Target = {
  name: "uri",
  seeds: texts(
    ...["stun:stun.example.org", "stuns:192.0.2.1:5349", "stun:[2001:db8::1]:3478", "turn:turn.example.org:3478"],
    ...[
      "turns:turn.example.org?transport=tcp",
      "TURN:[::1]?transport=udp",
      "turn:xn--bcher-kva.example.?transport=tcp",
    ],
    ...["stun:[fe80::1%eth0]", "turn:user@host", "stun://host", "turn:1.2.3", "turn:a_b-c.d:1?transport=UDP"],
  ),
  run(input: Uint8Array): boolean {
    const text = latin1(input);
    const isStun = parsesUri(parseStunUri, formatStunUri, text);
    const isTurn = parsesUri(parseTurnUri, formatTurnUri, text);
    assert.ok(!(isStun && isTurn));
    return isStun || isTurn;
  },
  decode(input: Uint8Array): void {
    parseHostPort(latin1(input));
  },
};

const nonces = new Nonces(testCrypto, [encoder.encode("a key of sixteen bytes or more")], 600, 1);
const issuedAt = 1_800_000_000 as UnixSeconds;
const client = ipv4(0xc0000201, 5000);
const nonce = nonces.create(client, issuedAt);

export const nonceTarget: Target = {
  name: "nonce",
  seeds: texts(nonce, `${NONCE_COOKIE}AAAC`, "f//499k954d6OL34oL9FSTvy64sA", "1800000000:alice", "1800000000"),
  run(input: Uint8Array): boolean {
    const text = latin1(input);
    const valid = nonces.isValid(text, client, issuedAt);
    assert.equal(valid, text === nonce, "only what was issued is good");
    assert.ok(!nonces.isValid(text, blankAddress(), issuedAt));
    const features = securityFeatures(text);
    assert.ok(features >= 0 && features <= 0xffffff && (features === 0 || text.startsWith(NONCE_COOKIE)));
    const limited = parseTimeLimited(text);
    if (limited !== undefined) assert.ok(limited.expiry > 0 && text.startsWith(String(limited.expiry)));
    return valid || limited !== undefined;
  },
  decode(input: Uint8Array): void {
    nonces.isValid(latin1(input), client, issuedAt);
    securityFeatures(latin1(input));
  },
};
