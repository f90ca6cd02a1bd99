import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveStun } from "../../../src/core/stun/resolve.ts";
import { parseStunUri } from "../../../src/core/stun/uri.ts";
import { SeededRandom } from "../../support/crypto.ts";
import { resolved, type Zone } from "../../support/dns.ts";

const stun = (uri: string, zone: Zone = {}, seed = 1) =>
  resolved(resolveStun(parseStunUri(uri), new SeededRandom(seed)), zone);

test("RFC 8489 §8.1: an address, a port, or a local name needs no SRV", () => {
  assert.deepEqual(stun("stun:192.0.2.1"), { asked: [], found: ["udp 192.0.2.1:3478", "tcp 192.0.2.1:3478"] });
  assert.deepEqual(stun("stuns:[2001:db8::1]"), { asked: [], found: ["tls [2001:db8::1]:5349"] });
  const zone = { "a.example": ["192.0.2.1", "2001:db8::1"], localhost: ["127.0.0.1"] };
  assert.deepEqual(stun("stuns:a.example:443", zone), {
    asked: ["address a.example"],
    found: ["tls 192.0.2.1:443", "tls [2001:db8::1]:443"],
  });
  assert.deepEqual(stun("stuns:localhost", zone), { asked: ["address localhost"], found: ["tls 127.0.0.1:5349"] });
});

test("RFC 8489 §8.1: SRV first, and the name's own addresses where there is none", () => {
  const zone = {
    "_stun._udp.a.example": ["SRV 1 1 3479 s1.example"],
    "_stuns._tcp.a.example": ["SRV 1 1 0 ."],
    "s1.example": ["192.0.2.9"],
    "a.example": ["192.0.2.1"],
  };
  assert.deepEqual(stun("stun:a.example", zone).found, ["udp 192.0.2.9:3479"]);
  assert.deepEqual(stun("stuns:a.example", zone).found, ["tls 192.0.2.1:5349"]);
  assert.deepEqual(stun("stun:nowhere.example").found, []);
});

test("RFC 2782: lower priorities come first; equals come first as often as they weigh", () => {
  const hosts = { "a.x": ["192.0.2.1"], "b.x": ["192.0.2.2"], "c.x": ["192.0.2.3"], "d.x": ["192.0.2.4"] };
  const records = ["SRV 20 0 1 d.x", "SRV 10 75 1 a.x", "SRV 10 25 1 b.x", "SRV 10 0 1 c.x"];
  const first = new Map<string, number>();
  for (let seed = 0; seed < 2000; seed++) {
    const { found } = stun("stuns:x.example", { ...hosts, "_stuns._tcp.x.example": records }, seed);
    assert.equal(found.length, 4);
    assert.equal(found[3], "tls 192.0.2.4:1");
    first.set(found[0] as string, (first.get(found[0] as string) ?? 0) + 1);
  }
  const share = (host: string): number => (first.get(`tls 192.0.2.${host}:1`) ?? 0) / 2000;
  assert.ok(share("1") > 0.7 && share("1") < 0.8, `${share("1")}`);
  assert.ok(share("2") > 0.2 && share("2") < 0.3, `${share("2")}`);
  assert.ok(share("3") > 0 && share("3") < 0.03, `${share("3")}`);
});
