import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { type Address, formatAddress } from "../../../src/core/base/address.ts";
import type { Instant } from "../../../src/core/base/machine.ts";
import { type NatBehavior, natBehavior } from "../../../src/natlab/behavior.ts";
import { Rfc4787Nat } from "../../../src/natlab/nat/rfc4787-nat.ts";
import { SeededRandom } from "../../../src/natlab/seeded-random.ts";
import { toAddress } from "../../../src/natlab/surroundings.ts";

const server = toAddress("198.51.100.1", 3478);
const other = toAddress("198.51.100.2", 3478);

function nat(departures: Partial<NatBehavior>, ...outside: readonly string[]): Rfc4787Nat {
  const addresses = outside.length > 0 ? outside : ["203.0.113.10"];
  return new Rfc4787Nat(
    natBehavior(departures),
    addresses.map((text) => toAddress(text)),
    new SeededRandom(1),
  );
}

/** `out(nat, "10.0.0.2", 5000)` is the outside source, or why there is none. */
function out(of: Rfc4787Nat, ip: string, port: number, to: Readonly<Address> = server, now = 0): string {
  const source = of.outgoingSource(toAddress(ip, port), to, now as Instant);
  return typeof source === "string" ? source : formatAddress(source);
}

function into(of: Rfc4787Nat, port: number, from: Readonly<Address> = server, now = 0): string {
  const inside = of.incomingDestination(from, toAddress("203.0.113.10", port), now as Instant);
  return typeof inside === "string" ? inside : formatAddress(inside);
}

suite("port assignment", () => {
  test("preservation gives a collision the next free port of the same parity", () => {
    const of = nat({});
    assert.deepEqual(
      ["10.0.0.2", "10.0.0.3", "10.0.0.4"].map((ip) => out(of, ip, 5000)),
      ["203.0.113.10:5000", "203.0.113.10:5002", "203.0.113.10:5004"],
    );
    assert.equal(out(nat({ parity: false }), "10.0.0.2", 5000), "203.0.113.10:5000");
    const loose = nat({ parity: false });
    out(loose, "10.0.0.2", 5000);
    assert.equal(out(loose, "10.0.0.3", 5000), "203.0.113.10:5001");
  });
  test("overloading shares a port, and finds the inside host by who sends; the last sender wins a draw", () => {
    const of = nat({ ports: { kind: "overloading" } });
    assert.equal(out(of, "10.0.0.2", 5000, server), "203.0.113.10:5000");
    assert.equal(out(of, "10.0.0.3", 5000, other), "203.0.113.10:5000");
    assert.deepEqual([into(of, 5000, server), into(of, 5000, other)], ["10.0.0.2:5000", "10.0.0.3:5000"]);
    out(of, "10.0.0.3", 5000, server);
    assert.equal(into(of, 5000, server), "10.0.0.3:5000");
    out(of, "10.0.0.2", 5000, server);
    assert.equal(into(of, 5000, server), "10.0.0.2:5000");
  });
  test("sequential goes on by its step, around the end of the range", () => {
    const of = nat({ ports: { kind: "sequential", step: 2 }, parity: false, portRange: { min: 40_000, max: 40_005 } });
    const given = [1, 2, 3, 4, 5, 6, 7].map((n) => out(of, "10.0.0.2", 5000 + n));
    const ports = [40_000, 40_002, 40_004, 40_001, 40_003, 40_005].map((port) => `203.0.113.10:${port}`);
    assert.deepEqual(given, [...ports, "ports-exhausted"]);
  });
  test("RFC 4787 REQ-4: sequential and random keep parity where asked", () => {
    for (const ports of [{ kind: "sequential", step: 1 }, { kind: "random" }] as const) {
      const of = nat({ ports, parity: true });
      for (let port = 5000; port < 5040; port++) {
        assert.equal(Number(out(of, "10.0.0.2", port).split(":")[1]) % 2, port % 2);
      }
    }
  });
  test("random spreads over the whole range", () => {
    const of = nat({ ports: { kind: "random" }, parity: false });
    const ports = Array.from({ length: 200 }, (_, n) => Number(out(of, "10.0.0.2", 5000 + n).split(":")[1]));
    assert.ok(Math.min(...ports) < 8_000 && Math.max(...ports) > 60_000);
  });
  test("a port is free again when its mapping has expired", () => {
    const of = nat({ portRange: { min: 5000, max: 5000 }, lifetime: 1000 });
    out(of, "10.0.0.2", 5000);
    assert.equal(out(of, "10.0.0.3", 5000, server, 999), "ports-exhausted");
    assert.equal(out(of, "10.0.0.3", 5000, server, 1000), "203.0.113.10:5000");
  });
});

suite("pooling", () => {
  const pool = ["203.0.113.10", "203.0.113.11", "203.0.113.12"];
  const hostOf = (text: string) => text.split(":")[0];
  test("RFC 4787 REQ-2: paired gives one host one address", () => {
    const of = nat({ pooling: "paired" }, ...pool);
    assert.equal(new Set([1, 2, 3, 4].map((n) => hostOf(out(of, "10.0.0.2", n)))).size, 1);
    assert.notEqual(hostOf(out(of, "10.0.0.3", 1)), hostOf(out(of, "10.0.0.2", 1)));
  });
  test("arbitrary takes them in turn", () => {
    const of = nat({ pooling: "arbitrary" }, ...pool);
    assert.deepEqual(
      [1, 2, 3, 4].map((n) => hostOf(out(of, "10.0.0.2", n))),
      [...pool, pool[0]],
    );
  });
});

suite("limits", () => {
  test("of the whole NAT, and of one host; expired mappings do not count", () => {
    const of = nat({ maxMappings: 3, maxMappingsPerHost: 2, lifetime: 1000 });
    assert.equal(out(of, "10.0.0.2", 1), "203.0.113.10:1");
    assert.equal(out(of, "10.0.0.2", 2), "203.0.113.10:2");
    assert.equal(out(of, "10.0.0.2", 3), "mapping-limit");
    assert.equal(out(of, "10.0.0.2", 1), "203.0.113.10:1", "what is mapped stays mapped");
    assert.equal(out(of, "10.0.0.3", 3), "203.0.113.10:3");
    assert.equal(out(of, "10.0.0.4", 4), "mapping-limit");
    assert.equal(out(of, "10.0.0.4", 4, server, 1000), "203.0.113.10:4");
    assert.equal(of.mappingCount(1000 as Instant), 1);
    assert.equal(out(of, "10.0.0.2", 5, server, 1000), "203.0.113.10:5");
    assert.equal(out(of, "10.0.0.2", 6, server, 1000), "203.0.113.10:6");
  });
});

test("a reboot forgets mappings and where it was in its ports", () => {
  const of = nat({ ports: { kind: "sequential", step: 1 }, parity: false });
  assert.equal(out(of, "10.0.0.2", 5000), "203.0.113.10:1024");
  assert.equal(out(of, "10.0.0.3", 5000), "203.0.113.10:1025");
  of.reboot();
  assert.equal(into(of, 1024), "no-mapping");
  assert.equal(out(of, "10.0.0.3", 5000), "203.0.113.10:1024");
});

test("a change of addresses leaves nothing of the old ones", () => {
  const of = nat({});
  out(of, "10.0.0.2", 5000);
  of.changeAddresses([toAddress("203.0.113.99")]);
  assert.equal(into(of, 5000), "no-mapping");
  assert.equal(out(of, "10.0.0.2", 5000), "203.0.113.99:5000");
  assert.ok(of.holds(server) === false && of.holds(toAddress("203.0.113.99")));
  of.changeAddresses([]);
  assert.equal(out(of, "10.0.0.2", 5000), "ports-exhausted");
});

suite("whoever sends whatever whenever", () => {
  const insides = ["10.0.0.2", "10.0.0.3", "10.0.0.4"];
  const remotes = [server, other, toAddress("198.51.100.1", 9), toAddress("192.0.2.7", 3478)];
  const step = fc.record({
    wait: fc.integer({ min: 0, max: 40 }),
    inside: fc.constantFrom(...insides),
    port: fc.integer({ min: 5000, max: 5003 }),
    remote: fc.integer({ min: 0, max: 3 }),
    guess: fc.integer({ min: 4998, max: 5009 }),
  });
  const dependence = fc.constantFrom<NatBehavior["mapping"]>(
    "endpoint-independent",
    "address-dependent",
    "address-and-port-dependent",
  );
  const knobs = fc.record({
    mapping: dependence,
    filtering: dependence,
    ports: fc.constantFrom<NatBehavior["ports"]>(
      { kind: "preservation" },
      { kind: "sequential", step: 3 },
      { kind: "random" },
    ),
    parity: fc.boolean(),
    refreshScope: fc.constantFrom<NatBehavior["refreshScope"]>("mapping", "session"),
  });
  const lifetime = 100;
  const portRange = { min: 5000, max: 5007 };

  test("nothing comes in that was not asked for", () => {
    fc.assert(
      fc.property(knobs, fc.array(step, { maxLength: 40 }), (knob, steps) => {
        const of = nat({ ...knob, lifetime, portRange, refreshedBy: "outbound" });
        const asked: { inside: string; remote: Readonly<Address>; at: number }[] = [];
        let now = 0;
        for (const { wait, inside, port, remote: n, guess } of steps) {
          now += wait;
          const remote = remotes[n] as Address;
          if (out(of, inside, port, remote, now).includes(":"))
            asked.push({ inside: `${inside}:${port}`, remote, at: now });
          for (const stranger of remotes) {
            const reached = into(of, guess, stranger, now);
            if (!reached.includes(":")) continue;
            const recent = asked.filter(({ inside, at }) => inside === reached && at > now - lifetime);
            const known = recent.length > 0 ? asked.filter(({ inside }) => inside === reached) : [];
            const welcome = known.some(({ remote }) => {
              if (knob.filtering === "endpoint-independent") return true;
              return (
                remote.w3 === stranger.w3 && (knob.filtering === "address-dependent" || remote.port === stranger.port)
              );
            });
            assert.ok(welcome, `${formatAddress(stranger)} reached ${reached}`);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("two inside endpoints never have one outside port at the same time", () => {
    fc.assert(
      fc.property(knobs, fc.array(step, { maxLength: 40 }), (knob, steps) => {
        const of = nat({ ...knob, lifetime, portRange, refreshedBy: "outbound" });
        const holders = new Map<string, { inside: string; at: number }>();
        let now = 0;
        for (const { wait, inside, port, remote } of steps) {
          now += wait;
          const outside = out(of, inside, port, remotes[remote], now);
          if (!outside.includes(":")) continue;
          const holder = holders.get(outside);
          if (holder !== undefined && now < holder.at + lifetime) assert.equal(holder.inside, `${inside}:${port}`);
          holders.set(outside, { inside: `${inside}:${port}`, at: now });
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("the same endpoints keep the same outside port for as long as the mapping lives", () => {
    fc.assert(
      fc.property(knobs, fc.array(step, { maxLength: 40 }), (knob, steps) => {
        const of = nat({ ...knob, lifetime, refreshedBy: "outbound" });
        const mapped = new Map<string, { outside: string; at: number }>();
        let now = 0;
        for (const { wait, inside, port, remote } of steps) {
          now += wait;
          const outside = out(of, inside, port, remotes[remote], now);
          const key = `${inside}:${port} ${remote}`;
          const before = mapped.get(key);
          if (before !== undefined && now < before.at + lifetime) assert.equal(outside, before.outside);
          mapped.set(key, { outside, at: now });
        }
      }),
    );
  });
});
