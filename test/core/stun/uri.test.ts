import assert from "node:assert/strict";
import { test } from "node:test";
import { formatStunUri, parseStunUri } from "../../../src/core/stun/uri.ts";

test("RFC 7064 §3.1: scheme, host and port, and the same text again", () => {
  for (const [text, host, port] of [
    ["stun:example.org", "example.org", undefined],
    ["stuns:example.org", "example.org", undefined],
    ["stun:example.org:8000", "example.org", 8000],
    ["stun:192.0.2.1", "192.0.2.1", undefined],
    ["stuns:[2001:db8::1]:5349", "2001:db8::1", 5349],
    ["stun:[fe80::1%eth0]", "fe80::1%eth0", undefined],
    ["stun:a_b.example", "a_b.example", undefined],
    ["stun:example.org.", "example.org.", undefined],
  ] as const) {
    const uri = parseStunUri(text);
    assert.deepEqual(uri, { scheme: text.startsWith("stuns") ? "stuns" : "stun", host, port });
    assert.equal(formatStunUri(uri), text);
  }
  assert.equal(formatStunUri(parseStunUri("STUN:EXAMPLE.org:03478")), "stun:example.org:3478");
});

test("what is wrong with a STUN URI is said in a sentence", () => {
  for (const [text, why] of [
    ["http:example.org", /begins with stun/],
    ["stun", /begins with stun/],
    ["", /begins with stun/],
    ["stun:", /host is missing/],
    ["stun::3478", /host is missing/],
    ["stun://example.org", /no slashes/],
    ["stun:example.org/", /Nothing may follow/],
    ["stun:example.org?transport=udp", /Nothing may follow/],
    ["stun:2001:db8::1", /brackets/],
    ["stun:[2001:db8::1", /at most one port/],
    ["stun:[192.0.2.1]", /no IPv6 address/],
    ["stun:192.0.2.300", /neither an IP address nor a domain name/],
    ["stun:192.0.2", /neither/],
    ["stun:exa mple.org", /neither/],
    ["stun:-a.org", /neither/],
    [`stun:${"a".repeat(64)}.org`, /neither/],
    ["stun:b\u00fccher.example", /xn--/],
    ["stun:b%c3%bccher.example", /xn--/],
    ["stun:example.org:0", /no port/],
    ["stun:example.org:65536", /no port/],
    ["stun:example.org:", /no port/],
    ["stun:example.org:http", /no port/],
    ["stun:a:1:2", /at most one port/],
  ] as const) {
    assert.throws(() => parseStunUri(text), { name: "PosternError", code: "bad-uri", message: why }, text);
  }
});
