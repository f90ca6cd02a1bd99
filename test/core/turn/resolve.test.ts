import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveTurn } from "../../../src/core/turn/resolve.ts";
import { parseTurnUri } from "../../../src/core/turn/uri.ts";
import { SeededRandom } from "../../support/crypto.ts";
import { resolved, type Zone } from "../../support/dns.ts";

type Transports = readonly ("udp" | "tcp" | "tls")[];
const turn = (uri: string, zone: Zone = {}, supported: Transports = ["udp", "tcp", "tls"]) =>
  resolved(resolveTurn(parseTurnUri(uri), supported, new SeededRandom(1)), zone);

const hosts: Zone = { "a.example": ["192.0.2.1"], "b.example": ["192.0.2.2", "2001:db8::2"] };

test("RFC 5928 §3: the scheme and the transport of the URI leave some of the application's transports, in its order", () => {
  for (const [uri, found] of [
    ["turn:192.0.2.1", ["udp 192.0.2.1:3478", "tcp 192.0.2.1:3478"]],
    ["turn:192.0.2.1?transport=udp", ["udp 192.0.2.1:3478"]],
    ["turn:192.0.2.1:80?transport=tcp", ["tcp 192.0.2.1:80"]],
    ["turns:192.0.2.1", ["tls 192.0.2.1:5349"]],
    ["turns:192.0.2.1?transport=tcp", ["tls 192.0.2.1:5349"]],
    ["turns:192.0.2.1?transport=udp", []],
  ] as const) {
    assert.deepEqual(turn(uri), { asked: [], found }, uri);
  }
  assert.deepEqual(turn("turn:192.0.2.1", {}, ["tcp", "udp"]).found, ["tcp 192.0.2.1:3478", "udp 192.0.2.1:3478"]);
});

test("RFC 5928 §3: a name with a port is looked up as it is, and so is one without a dot", () => {
  assert.deepEqual(turn("turn:b.example:80?transport=tcp", hosts), {
    asked: ["address b.example"],
    found: ["tcp 192.0.2.2:80", "tcp [2001:db8::2]:80"],
  });
  assert.deepEqual(turn("turn:localhost", { localhost: ["::1"] }).asked, ["address localhost"]);
});

test("RFC 5928 §3: with a transport SRV is asked for, and then the name itself", () => {
  const zone = { ...hosts, "_turn._tcp.a.example": ["SRV 1 0 3479 b.example"] };
  assert.deepEqual(turn("turn:a.example?transport=tcp", zone), {
    asked: ["SRV _turn._tcp.a.example", "address b.example"],
    found: ["tcp 192.0.2.2:3479", "tcp [2001:db8::2]:3479"],
  });
  assert.deepEqual(turn("turns:a.example?transport=tcp", zone), {
    asked: ["SRV _turns._tcp.a.example", "address a.example"],
    found: ["tls 192.0.2.1:5349"],
  });
});

test("RFC 5928 §3: without one NAPTR says which; of its records, those that can be used, in their order", () => {
  const zone = {
    ...hosts,
    "a.example": [
      "192.0.2.1",
      "NAPTR 200 10 s RELAY:turn.udp _turn._udp.a.example",
      "NAPTR 100 20 a RELAY:turn.tcp:turn.tls b.example",
      "NAPTR 100 10 - relay:turn.udp further.example",
      "NAPTR 1 1 s RELAY:turn.tls _turns._tcp.a.example",
      "NAPTR 1 1 s SIP+D2U:turn.udp nowhere.example",
      "NAPTR 1 1 u RELAY:turn.udp nowhere.example",
    ],
    "further.example": ["NAPTR 1 1 A RELAY:turn.udp a.example"],
    "_turn._udp.a.example": ["SRV 1 0 3479 a.example"],
  };
  assert.deepEqual(turn("turn:a.example", zone).found, [
    "udp 192.0.2.1:3478",
    "tcp 192.0.2.2:3478",
    "tcp [2001:db8::2]:3478",
    "udp 192.0.2.1:3479",
  ]);
});

test("RFC 5928 §3: without NAPTR each transport's SRV, and without SRV the name itself by each transport", () => {
  const zone = { ...hosts, "_turn._tcp.a.example": ["SRV 1 0 80 b.example"] };
  assert.deepEqual(turn("turn:a.example", zone).asked, [
    "NAPTR a.example",
    "SRV _turn._udp.a.example",
    "SRV _turn._tcp.a.example",
    "address b.example",
  ]);
  assert.deepEqual(turn("turn:a.example", hosts).found, ["udp 192.0.2.1:3478", "tcp 192.0.2.1:3478"]);
  assert.deepEqual(turn("turn:nowhere.example").found, []);
});

test("RFC 3958 §2.2: pointers that lead in a circle, or to thousands of others, end", () => {
  const circle = { "a.example": ["192.0.2.1", "NAPTR 1 1 - RELAY:turn.udp a.example"] };
  assert.deepEqual(turn("turn:a.example", circle).found, ["udp 192.0.2.1:3478", "tcp 192.0.2.1:3478"]);
  const many = { "a.example": Array.from({ length: 1000 }, () => "NAPTR 1 1 a RELAY:turn.udp a.example") };
  assert.ok(turn("turn:a.example", many).asked.length < 40);
  const tree = { "a.example": Array.from({ length: 9 }, () => "NAPTR 1 1 - RELAY:turn.udp a.example") };
  assert.ok(turn("turn:a.example", tree).asked.length < 40);
});
