/** ICE's lines of SDP. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { formatIp, ipv4 } from "../../../src/core/base/address.ts";
import type { Candidate } from "../../../src/core/ice/candidate.ts";
import { formatIceLines, formatRemoteCandidates, parseIceAttribute } from "../../../src/core/ice/sdp.ts";
import { formatCandidate, parseCandidate } from "../../../src/core/ice/sdp-candidate.ts";
import { address } from "../turn/server/world.ts";

suite("RFC 8839 §5.1: candidates", () => {
  const lines: readonly string[] = [
    "candidate:1 1 udp 2130706431 203.0.113.141 8998 typ host",
    "candidate:2 1 udp 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998",
    "candidate:a+/Z 256 udp 1 2001:db8::1 1 typ relay raddr :: rport 0",
  ];
  for (const line of lines) {
    test(`${line}, there and back`, () => {
      for (const text of [line, `a=${line}`, line.replace(" udp ", " UDP ")]) {
        const parsed = parseCandidate(text);
        assert.ok(parsed.kind === "candidate");
        assert.equal(formatCandidate(parsed.candidate), line);
      }
    });
  }

  test("what Chromium appends", () => {
    const parsed = parseCandidate(
      "candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 0.0.0.0 rport 0 generation 0 ufrag EsAw network-cost 999",
    );
    assert.ok(parsed.kind === "candidate");
    assert.equal(parsed.ufrag, "EsAw");
    assert.equal(formatIp(parsed.candidate.address), "203.0.113.7");
  });

  test("RFC 4007 §6: a link-local address is told without its zone", () => {
    const parsed = parseCandidate("candidate:1 1 udp 1 fe80::1%eth0 9 typ host");
    assert.ok(parsed.kind === "candidate");
    assert.equal(formatCandidate(parsed.candidate), "candidate:1 1 udp 1 fe80::1 9 typ host");
  });

  const unusable: Record<string, readonly [string, string]> = {
    TCP: ["candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active", "transport"],
    "a name that is no UUID": ["candidate:1 1 udp 1 printer.local 9 typ host", "name"],
    "a UUID in a domain": ["candidate:1 1 udp 1 0f8e3c1a-6b7d-4c9e-8a21-5d4f3b2c1a09.lan.local 9 typ host", "name"],
    "a UUID of the DNS": ["candidate:1 1 udp 1 0f8e3c1a-6b7d-4c9e-8a21-5d4f3b2c1a09.example 9 typ host", "name"],
    "another name": ["candidate:1 1 udp 1 example.org 9 typ host", "name"],
    "another type": ["candidate:1 1 udp 1 192.0.2.1 9 typ birthday", "type"],
    "component 0": ["candidate:1 0 udp 1 192.0.2.1 9 typ host", "malformed"],
    "component 257": ["candidate:1 257 udp 1 192.0.2.1 9 typ host", "malformed"],
    "priority 2^31": ["candidate:1 1 udp 2147483648 192.0.2.1 9 typ host", "malformed"],
    "port 65536": ["candidate:1 1 udp 1 192.0.2.1 65536 typ host", "malformed"],
    "a foundation of 33": [`candidate:${"x".repeat(33)} 1 udp 1 192.0.2.1 9 typ host`, "malformed"],
    "half an extension": ["candidate:1 1 udp 1 192.0.2.1 9 typ host generation", "malformed"],
    nothing: ["", "malformed"],
  };
  for (const [name, [line, why]] of Object.entries(unusable)) {
    test(`${name}: ${why}`, () => {
      const parsed = parseCandidate(line);
      assert.ok(parsed.kind === "unusable");
      assert.equal(parsed.why, why);
    });
  }

  test("mDNS candidates draft §3.2: a UUID under .local is a name to be looked up, in small letters", () => {
    const uuid = "0F8E3C1A-6b7d-4c9e-8a21-5d4f3b2c1a09";
    const parsed = parseIceAttribute(`a=candidate:7 2 udp 2113937151 ${uuid}.local 51234 typ host ufrag EsAw`);
    assert.deepEqual(parsed, {
      kind: "named",
      name: `${uuid.toLowerCase()}.local`,
      port: 51_234,
      candidate: { foundation: "7", component: 2, priority: 2_113_937_151, type: "host", related: undefined },
      ufrag: "EsAw",
    });
  });

  test("a name is shown in the place of the address", () => {
    const parsed = parseCandidate("candidate:1 1 udp 5 192.0.2.1 7000 typ host");
    assert.ok(parsed.kind === "candidate");
    assert.equal(formatCandidate(parsed.candidate, "a.local"), "candidate:1 1 udp 5 a.local 7000 typ host");
  });

  test("a malformed related address is none", () => {
    for (const rest of [
      "raddr x rport 1",
      "raddr 192.0.2.1 rport 70000",
      "raddr 192.0.2.1 rport x",
      "rport 1 raddr nowhere",
    ]) {
      const parsed = parseCandidate(`candidate:1 1 udp 1 192.0.2.1 9 typ srflx ${rest}`);
      assert.ok(parsed.kind === "candidate" && parsed.candidate.related === undefined);
    }
  });

  test("any candidate, there and back", () => {
    const character = fc.constantFrom(..."ABYZabyz0189+/");
    const arbitrary: fc.Arbitrary<Candidate> = fc.record({
      foundation: fc.string({ unit: character, minLength: 1, maxLength: 32 }),
      component: fc.integer({ min: 1, max: 256 }),
      priority: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      address: fc.tuple(fc.nat(2 ** 32 - 1), fc.integer({ min: 1, max: 65_535 })).map(([w, port]) => ipv4(w, port)),
      type: fc.constantFrom<Candidate["type"]>("srflx", "prflx", "relay"),
      related: fc.option(
        fc.tuple(fc.nat(2 ** 32 - 1), fc.nat(65_535)).map(([w, port]) => ipv4(w, port)),
        { nil: undefined },
      ),
    });
    fc.assert(
      fc.property(arbitrary, (candidate) => {
        const parsed = parseCandidate(formatCandidate(candidate));
        assert.deepEqual(parsed, { kind: "candidate", candidate: { ...candidate }, ufrag: undefined });
      }),
    );
  });
});

suite("RFC 8839 §5: the other attributes", () => {
  const cases: readonly [string, ReturnType<typeof parseIceAttribute>][] = [
    ["a=ice-ufrag:8hhY", { kind: "ufrag", ufrag: "8hhY" }],
    ["ice-pwd:asd88fgpdd777uzjYhagZg", { kind: "password", password: "asd88fgpdd777uzjYhagZg" }],
    ["ice-options:ice2 trickle", { kind: "options", options: ["ice2", "trickle"] }],
    ["a=ice-pacing:20", { kind: "pacing", ta: 20 }],
    ["a=ice-lite", { kind: "lite" }],
    ["ice-mismatch", { kind: "mismatch" }],
    ["a=end-of-candidates", { kind: "end-of-candidates" }],
    ["a=ice-ufrag:abc", { kind: "malformed", name: "ice-ufrag" }],
    ["a=ice-pwd:tooShort", { kind: "malformed", name: "ice-pwd" }],
    ["a=ice-pacing:soon", { kind: "malformed", name: "ice-pacing" }],
    ["a=remote-candidates:1 192.0.2.3", { kind: "malformed", name: "remote-candidates" }],
    ["a=remote-candidates:0 192.0.2.3 4", { kind: "malformed", name: "remote-candidates" }],
    ["a=rtcp-mux", undefined],
    ["a=mid:0", undefined],
  ];
  for (const [line, expected] of cases) test(line, () => assert.deepEqual(parseIceAttribute(line), expected));

  test("candidates among them", () => {
    assert.equal(parseIceAttribute("a=candidate:1 1 udp 1 192.0.2.1 9 typ host")?.kind, "candidate");
  });

  test("RFC 8839 §5.2: remote-candidates, there and back", () => {
    const candidates = [
      { component: 1, address: address("192.0.2.3:45664") },
      { component: 2, address: address("[2001:db8::1]:45665") },
    ];
    const line = formatRemoteCandidates(candidates);
    assert.equal(line, "remote-candidates:1 192.0.2.3 45664 2 2001:db8::1 45665");
    assert.deepEqual(parseIceAttribute(`a=${line}`), { kind: "remote-candidates", candidates });
  });

  test("what an agent says of itself", () => {
    const own = { ufrag: "8hhY", password: "asd88fgpdd777uzjYhagZg" };
    assert.deepEqual(formatIceLines({ ...own, isLite: false, options: ["ice2", "trickle"] }), [
      "ice-ufrag:8hhY",
      "ice-pwd:asd88fgpdd777uzjYhagZg",
      "ice-options:ice2 trickle",
    ]);
    assert.equal(formatIceLines({ ...own, isLite: true, options: [] })[0], "ice-lite");
  });
});
