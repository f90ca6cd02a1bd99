import assert from "node:assert/strict";
import { test } from "node:test";
import { isSipUri, parseUri } from "../../../../src/core/sip/message/uri.ts";
import { resolveSip } from "../../../../src/core/sip/resolve/resolve-sip.ts";
import { SeededRandom } from "../../../support/crypto.ts";
import { resolved, type Zone } from "../../../support/dns.ts";

function sip(text: string, zone: Zone = {}, supported: readonly ("udp" | "tcp" | "tls")[] = ["udp", "tcp", "tls"]) {
  const uri = parseUri(text);
  assert.ok(uri !== "malformed" && isSipUri(uri));
  return resolved(resolveSip(uri, supported, new SeededRandom(1)), zone);
}

test("RFC 3263 §4.1: an address or a port needs no pointers; UDP is usual, and TLS for SIPS", () => {
  const zone = { "a.example": ["192.0.2.1"], "b.example": ["192.0.2.2"], localhost: ["127.0.0.1"] };
  assert.deepEqual(sip("sip:x@192.0.2.7"), { asked: [], found: ["udp 192.0.2.7:5060"] });
  assert.deepEqual(sip("sip:x@[2001:db8::1]:5070"), { asked: [], found: ["udp [2001:db8::1]:5070"] });
  assert.deepEqual(sip("sips:192.0.2.7"), { asked: [], found: ["tls 192.0.2.7:5061"] });
  assert.deepEqual(sip("sip:192.0.2.7;transport=TCP"), { asked: [], found: ["tcp 192.0.2.7:5060"] });
  assert.deepEqual(sip("sips:192.0.2.7;transport=tcp"), { asked: [], found: ["tls 192.0.2.7:5061"] });
  assert.deepEqual(sip("sip:a.example:5080", zone), { asked: ["address a.example"], found: ["udp 192.0.2.1:5080"] });
  assert.deepEqual(sip("sip:x@a.example:5080;maddr=b.example", zone).found, ["udp 192.0.2.2:5080"]);
  assert.deepEqual(sip("sip:localhost", zone).asked, ["address localhost"]);
});

test("RFC 3263 §4.1: NAPTR says which transports a domain likes; what is not spoken here is passed over", () => {
  const zone = {
    "a.example": [
      "NAPTR 90 50 s SIP+D2T _sip._tcp.a.example",
      "NAPTR 50 50 s SIPS+D2T _sips._tcp.a.example",
      "NAPTR 10 50 s SIP+D2S _sip._sctp.a.example",
      "NAPTR 10 50 u SIP+D2U nobody.example",
    ],
    "_sip._tcp.a.example": ["SRV 0 1 5060 s1.example"],
    "_sips._tcp.a.example": ["SRV 0 1 5061 s2.example"],
    "s1.example": ["192.0.2.1"],
    "s2.example": ["192.0.2.2"],
  };
  assert.deepEqual(sip("sip:a.example", zone).found, ["tls 192.0.2.2:5061", "tcp 192.0.2.1:5060"]);
  assert.deepEqual(sip("sip:a.example", zone, ["udp", "tcp"]).found, ["tcp 192.0.2.1:5060"]);
  assert.deepEqual(sip("sips:a.example", zone).found, ["tls 192.0.2.2:5061"]);
});

test("RFC 3263 §4.1: without NAPTR each transport's SRV is asked for; with a transport in the URI that one's alone", () => {
  const zone = {
    "_sip._udp.a.example": ["SRV 10 1 5060 s1.example", "SRV 20 1 5070 s2.example"],
    "_sip._tcp.a.example": ["SRV 10 1 5080 s1.example"],
    "s1.example": ["192.0.2.1", "2001:db8::1"],
    "s2.example": ["192.0.2.2"],
  };
  const { asked, found } = sip("sip:a.example", zone);
  assert.deepEqual(
    asked.filter((one) => !one.startsWith("address")),
    ["NAPTR a.example", "SRV _sip._udp.a.example", "SRV _sip._tcp.a.example", "SRV _sips._tcp.a.example"],
  );
  assert.deepEqual(found, [
    "udp 192.0.2.1:5060",
    "udp [2001:db8::1]:5060",
    "udp 192.0.2.2:5070",
    "tcp 192.0.2.1:5080",
    "tcp [2001:db8::1]:5080",
  ]);
  const named = sip("sip:a.example;transport=tcp", zone);
  assert.deepEqual(named.asked[0], "SRV _sip._tcp.a.example");
  assert.deepEqual(named.found, ["tcp 192.0.2.1:5080", "tcp [2001:db8::1]:5080"]);
});

test("RFC 3263 §4.2: without any pointer, the name's own addresses, by UDP or TLS", () => {
  const zone = { "a.example": ["192.0.2.1"] };
  assert.deepEqual(sip("sip:a.example", zone).found, ["udp 192.0.2.1:5060"]);
  assert.deepEqual(sip("sips:a.example", zone).found, ["tls 192.0.2.1:5061"]);
  assert.deepEqual(sip("sip:a.example;transport=tcp", zone).found, ["tcp 192.0.2.1:5060"]);
  assert.deepEqual(sip("sip:a.example", zone, ["tcp"]).found, ["tcp 192.0.2.1:5060"]);
  assert.deepEqual(sip("sip:nowhere.example").found, []);
});
