import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTurnUri, parseTurnUri } from "../../../src/core/turn/uri.ts";

test("RFC 7065 §3.1: scheme, host, port and transport, and the same text again", () => {
  for (const [text, host, port, transport] of [
    ["turn:example.org", "example.org", undefined, undefined],
    ["turns:example.org", "example.org", undefined, undefined],
    ["turn:example.org:8000", "example.org", 8000, undefined],
    ["turn:example.org?transport=udp", "example.org", undefined, "udp"],
    ["turn:example.org:80?transport=tcp", "example.org", 80, "tcp"],
    ["turns:[2001:db8::1]:443?transport=tcp", "2001:db8::1", 443, "tcp"],
  ] as const) {
    const uri = parseTurnUri(text);
    assert.deepEqual(uri, { scheme: text.startsWith("turns") ? "turns" : "turn", host, port, transport });
    assert.equal(formatTurnUri(uri), text);
  }
  assert.equal(formatTurnUri(parseTurnUri("TURN:Example.ORG?transport=TCP")), "turn:example.org?transport=tcp");
});

test("what is wrong with a TURN URI is said in a sentence", () => {
  for (const [text, why] of [
    ["stun:example.org", /begins with turn/],
    ["turn://example.org", /no slashes/],
    ["turn:alice:secret@example.org", /credentials go beside/],
    ["turn:example.org/x", /credentials go beside|Only a host/],
    ["turn:?transport=udp", /host is missing/],
    ["turn:example.org?transport=sctp", /transport=udp or transport=tcp/],
    ["turn:example.org?transport=", /transport=udp or/],
    ["turn:example.org?", /transport=udp or/],
    ["turn:example.org?proto=udp", /transport=udp or/],
    ["turn:2001:db8::1", /brackets/],
    ["turn:example.org:99999", /no port/],
  ] as const) {
    assert.throws(() => parseTurnUri(text), { name: "PosternError", code: "bad-uri", message: why }, text);
  }
});
