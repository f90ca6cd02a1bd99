import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Address, blankAddress, formatAddress, formatIp } from "../../../../src/core/base/address.ts";
import type { Instant } from "../../../../src/core/base/machine.ts";
import { NatDiscovery } from "../../../../src/core/stun/behavior/nat-discovery.ts";
import type { NatDiscoveryOutput } from "../../../../src/core/stun/behavior/output.ts";
import type { BehaviorReport, Filtering, Finding, Mapping } from "../../../../src/core/stun/behavior/report.ts";
import { Attribute, ErrorCode, MessageClass, Method } from "../../../../src/core/stun/registry.ts";
import { StunView } from "../../../../src/core/stun/view.ts";
import { StunWriter } from "../../../../src/core/stun/writer.ts";
import { SeededRandom } from "../../../support/crypto.ts";
import { at, type NatBehavior, SmallNat } from "./small-nat.ts";
import { PosternService, type Reply, type Service, SmallWorld, type WorldOptions } from "./small-world.ts";

const two = () => new PosternService(["198.51.100.1", "198.51.100.2"]);
const alone = (ip = "198.51.100.9") => new PosternService([ip], [3478]);

function behind(nat: Partial<NatBehavior>, options: Partial<WorldOptions> = {}): BehaviorReport {
  return new SmallWorld({ services: [two()], nat: new SmallNat(nat), ...options }).discover();
}

/** The value, or the reason in brackets. */
function said<T>(finding: Finding<T>): T | string {
  return finding.known ? finding.value : `(${finding.why})`;
}

const kinds = ["endpoint-independent", "address-dependent", "address-and-port-dependent"] as const;
const cones: Record<Filtering, string> = {
  "endpoint-independent": "full-cone",
  "address-dependent": "restricted-cone",
  "address-and-port-dependent": "port-restricted-cone",
};

describe("every NAT is classified", () => {
  for (const mapping of kinds) {
    for (const filtering of kinds) {
      const name = mapping === "endpoint-independent" ? cones[filtering] : "symmetric";
      test(`RFC 5780 §4.3, §4.4: ${mapping} mapping, ${filtering} filtering: ${name}`, () => {
        for (const hairpinning of ["none", "external-source", "internal-source"] as const) {
          for (const ports of ["preserving", "random", 1, 2, -3] as const) {
            // Preserved ports are one port for all destinations.
            if (ports === "preserving" && mapping !== "endpoint-independent") continue;
            const report = behind({ mapping, filtering, hairpinning, ports });
            const what = `${hairpinning}, ${ports}`;
            assert.equal(said(report.translated), true);
            assert.equal(said(report.mapping), mapping, what);
            assert.equal(said(report.filtering), filtering, what);
            assert.equal(said(report.classicName), name, what);
            const canTell =
              mapping === "endpoint-independent" || (filtering === "endpoint-independent" && hairpinning !== "none");
            assert.equal(said(report.hairpinning), canTell ? hairpinning : "(hidden-by-filter)", what);
            const pattern = typeof ports === "number" ? { pattern: "sequential", step: ports } : { pattern: ports };
            assert.deepEqual(said(report.ports), pattern, what);
            assert.deepEqual(report.publicAddresses.map(formatIp), ["203.0.113.10"]);
            assert.equal(said(report.rewritten), false);
          }
        }
      });
    }
  }

  test("RFC 3489 §10.1: without a NAT it is open, or a firewall, by the filter alone", () => {
    assert.equal(said(new SmallWorld({ services: [two()], local: "9.9.9.9" }).discover().classicName), "open");
    for (const filtering of kinds) {
      const nat = new SmallNat({ filtering }, { translates: false });
      const report = new SmallWorld({ services: [two()], local: "9.9.9.9", nat }).discover();
      assert.equal(said(report.translated), false);
      assert.equal(said(report.filtering), filtering);
      const name = filtering === "endpoint-independent" ? "open" : "symmetric-firewall";
      assert.equal(said(report.classicName), name);
      assert.deepEqual([said(report.hairpinning), said(report.ports)], ["(no-nat)", "(no-nat)"]);
    }
  });

  test("over IPv6 too", () => {
    const services = [new PosternService(["2001:db8::1", "2001:db8::2"])];
    const nat = new SmallNat({ filtering: "address-dependent" }, { translates: false });
    const report = new SmallWorld({ services, nat, local: "2001:db8:5::5" }).discover();
    assert.deepEqual([report.family, said(report.filtering)], [6, "address-dependent"]);
  });

  test("a lossy link changes nothing: one packet in eight is lost, either way", () => {
    for (let seed = 1; seed <= 12; seed++) {
      const mapping = kinds[seed % 3]!;
      const filtering = kinds[seed % 2]!;
      const report = behind({ mapping, filtering, ports: "random" }, { lossOneIn: 8, seed });
      assert.deepEqual([said(report.mapping), said(report.filtering)], [mapping, filtering], `seed ${seed}`);
    }
  });
});

describe("what a server cannot test is unknown", () => {
  test("RFC 5780 §7.4: one address, and another server beside it", () => {
    const one = behind({}, { services: [alone()] });
    assert.equal(said(one.translated), true);
    assert.deepEqual([said(one.mapping), said(one.filtering)], ["(one-address)", "(one-address)"]);
    assert.equal(said(one.classicName), "(one-address)");
    for (const [mapping, told] of [
      ["endpoint-independent", "endpoint-independent"],
      ["address-dependent", "destination-dependent"],
      ["address-and-port-dependent", "destination-dependent"],
    ] as const) {
      const both = behind({ mapping, ports: "random" }, { services: [alone(), alone("198.51.100.8")] });
      assert.equal(said(both.mapping), told);
      assert.equal(said(both.classicName), told === "endpoint-independent" ? "(one-address)" : "symmetric");
    }
  });

  test("the server with two addresses is the one that counts, wherever it stands in the list", () => {
    const report = behind({ mapping: "address-dependent", ports: "random" }, { services: [alone(), two()] });
    assert.equal(said(report.mapping), "address-dependent");
    assert.deepEqual(
      report.servers.map(({ other }) => other && formatAddress(other)),
      [undefined, "198.51.100.2:3479"],
    );
  });

  test("no answer at all", () => {
    const report = behind({}, { blocks: () => true });
    const { translated, mapping, filtering, classicName, passages, layers, longestDatagram, fragments } = report;
    for (const finding of [translated, mapping, filtering, classicName, passages, layers, longestDatagram, fragments]) {
      assert.equal(said(finding as Finding<unknown>), "(no-answer)");
    }
  });

  test("a NAT with several public addresses", () => {
    const addresses = ["203.0.113.10", "203.0.113.11", "203.0.113.12"];
    const tests = { lifetime: { first: 10, longest: 100, precision: 5 } };
    const report = behind({ addresses }, { tests });
    assert.equal(report.publicAddresses.length, 3);
    assert.equal(said(report.lifetime), "(several-public-addresses)");
  });
});

type Lie = (
  data: Uint8Array,
  replies: readonly Reply[],
  asked: Readonly<Address>,
  asker: Readonly<Address>,
) => readonly Reply[];

/** Postern's answers, changed by a liar. */
class Liar implements Service {
  readonly #honest = two();
  readonly addresses = this.#honest.addresses;
  readonly #lie: Lie;

  constructor(lie: Lie) {
    this.#lie = lie;
  }

  answer(...given: Parameters<Service["answer"]>): readonly Reply[] {
    return this.#lie(given[0], this.#honest.answer(...given), given[2], given[1]);
  }
}

const wantsChange = (data: Uint8Array): boolean => {
  const view = new StunView();
  assert.equal(view.decode(data), undefined);
  return (view.u32(Attribute.ChangeRequest) ?? 0) !== 0;
};

describe("a server that lies makes nothing look better than it is", () => {
  for (const filtering of kinds) {
    for (const mapping of kinds) {
      const to = (lie: Lie): string | Filtering =>
        said(behind({ filtering, mapping, ports: "random" }, { services: [new Liar(lie)] }).filtering);

      test(`one that ignores CHANGE-REQUEST, ${mapping} mapping, ${filtering} filtering`, () => {
        assert.equal(
          to((_data, replies, from) => replies.map((reply) => ({ ...reply, from }))),
          "(change-ignored)",
        );
      });

      test(`one that answers from a third address, ${mapping} mapping, ${filtering} filtering`, () => {
        const third = at("198.51.100.3", 3478);
        const found = to((data, replies) =>
          wantsChange(data) ? replies.map((one) => ({ ...one, from: third })) : replies,
        );
        const arrives = filtering === "endpoint-independent";
        if (arrives) assert.equal(found, "(answer-from-elsewhere)");
        else if (mapping === "endpoint-independent") assert.equal(found, "(change-unproven)");
        else assert.equal(found, "address-and-port-dependent", "the RFC's inference, where nothing can be proven");
      });

      test(`one that is silent about CHANGE-REQUEST, ${mapping} mapping, ${filtering} filtering`, () => {
        const found = to((data, replies) => (wantsChange(data) ? [] : replies));
        // Where mappings differ by destination a silent server cannot be found out; the RFC's own inference stands.
        assert.equal(found, mapping === "endpoint-independent" ? "(change-unproven)" : "address-and-port-dependent");
      });
    }
  }

  test("one that refuses CHANGE-REQUEST", () => {
    const refuse = (data: Uint8Array, replies: readonly Reply[], from: Readonly<Address>) => {
      if (!wantsChange(data)) return replies;
      const writer = new StunWriter().begin(Method.Binding, MessageClass.Error, data.subarray(4, 20));
      writer.errorCode(ErrorCode.UnknownAttribute).u16List(Attribute.UnknownAttributes, [Attribute.ChangeRequest]);
      return replies.map((reply) => ({ ...reply, from, data: writer.finish() }));
    };
    assert.equal(said(behind({}, { services: [new Liar(refuse)] }).filtering), "(change-refused)");
  });

  test("one whose other address is its own, of its own port, or dead", () => {
    const naming = (other: Readonly<Address>) => (data: Uint8Array, replies: readonly Reply[]) => {
      return replies.map((reply) => {
        const mapped = blankAddress();
        const view = new StunView();
        assert.equal(view.decode(reply.data), undefined);
        assert.ok(view.xorAddressAt(view.indexOf(Attribute.XorMappedAddress), mapped));
        const writer = new StunWriter().begin(Method.Binding, MessageClass.Success, data.subarray(4, 20));
        writer.xorAddress(Attribute.XorMappedAddress, mapped).address(Attribute.OtherAddress, other);
        return { ...reply, data: writer.finish() };
      });
    };
    const mappingWith = (ip: string, port: number) =>
      said(behind({}, { services: [new Liar(naming(at(ip, port)))], blocks: classic }).mapping);
    assert.equal(mappingWith("198.51.100.1", 3479), "(one-address)");
    assert.equal(mappingWith("198.51.100.2", 3478), "(one-address)");
    assert.equal(mappingWith("198.51.100.66", 3479), "(other-address-silent)");
  });
});

/** Requests without the magic cookie. */
function classic(data: Uint8Array): boolean {
  return data[4] !== 0x21;
}

test("RFC 5780 §3.6: an address rewritten in the packet is noticed, where the server tells both and where it does not", () => {
  const inside = Uint8Array.of(10, 0, 0, 2);
  const outside = Buffer.from([203, 0, 113, 10]);
  const meddle = (data: Uint8Array): Uint8Array => {
    const found = Buffer.from(data).indexOf(outside);
    if (found < 0) return data;
    const changed = Uint8Array.from(data);
    changed.set(inside, found);
    return changed;
  };
  assert.equal(said(behind({}, { meddle }).rewritten), true);
  assert.equal(said(behind({}, { services: [alone()] }).rewritten), false);
  assert.equal(said(behind({}, { meddle, services: [alone()] }).rewritten), true);
  assert.equal(said(behind({}, { services: [alone()], blocks: classic }).rewritten), "(no-answer)");
});

describe("RFC 5780 §4.6: how long a binding lives", () => {
  const lifetime = { first: 15, longest: 300, precision: 5 };
  for (const seconds of [8, 30, 64, 120, 250]) {
    for (const refreshedBy of [["outbound"], ["outbound", "inbound"], ["inbound"]] as const) {
      test(`${seconds} s, refreshed by ${refreshedBy.join(" and ")} traffic`, () => {
        for (const mapping of kinds) {
          const report = behind({ lifetime: seconds, refreshedBy, mapping, ports: "random" }, { tests: { lifetime } });
          assert.ok(report.lifetime.known, said(report.lifetime) as string);
          const { atLeast, below, refreshedByOutbound, refreshedByInbound } = report.lifetime.value;
          assert.ok(below !== undefined && atLeast <= seconds && seconds <= below, `${atLeast} to ${below}`);
          assert.ok(below - atLeast <= 5);
          assert.equal(
            said(refreshedByOutbound),
            refreshedBy.some((one) => one === "outbound"),
          );
          assert.equal(
            said(refreshedByInbound),
            refreshedBy.some((one) => one === "inbound"),
          );
        }
      });
    }
  }

  test("one that outlives the longest test", () => {
    const report = behind({ lifetime: 1000 }, { tests: { lifetime } });
    assert.ok(report.lifetime.known);
    assert.deepEqual([report.lifetime.value.atLeast, report.lifetime.value.below], [300, undefined]);
  });

  /** What becomes of the requests with RESPONSE-PORT, by their order; the first proves that the server answers them. */
  function knocks(fate: (count: number) => "answered" | "busy" | "lost"): Service {
    const inner = two();
    const seen: string[] = [];
    const answer: Service["answer"] = (data, from, to, now) => {
      const view = new StunView();
      assert.equal(view.decode(data), undefined);
      if (!view.has(Attribute.ResponsePort)) return inner.answer(data, from, to, now);
      const id = Buffer.from(data.subarray(4, 20)).toString("hex");
      if (!seen.includes(id)) seen.push(id);
      const what = fate(seen.indexOf(id));
      if (what === "answered") return inner.answer(data, from, to, now);
      const error = new StunWriter().begin(Method.Binding, MessageClass.Error, data.subarray(4, 20));
      return what === "lost" ? [] : [{ from: to, to: from, data: error.errorCode(ErrorCode.ServerError).finish() }];
    };
    return { addresses: inner.addresses, answer };
  }

  test("a server that is busy, or an answer that is lost, does not end a binding", () => {
    for (const fate of ["busy", "lost"] as const) {
      for (const unlucky of [1, 2, 3]) {
        const services = [knocks((count) => (count === unlucky ? fate : "answered"))];
        const { lifetime: found } = behind({ lifetime: 120 }, { services, tests: { lifetime } });
        assert.ok(found.known, said(found) as string);
        const { atLeast, below = 0 } = found.value;
        assert.ok(atLeast <= 120 && 120 <= below && below - atLeast <= 5, `${fate} ${unlucky}: ${atLeast} to ${below}`);
      }
    }
  });

  test("where the server stays busy the lifetime is unknown", () => {
    for (const from of [0, 1, 3]) {
      const services = [knocks((count) => (count < from ? "answered" : "busy"))];
      assert.equal(said(behind({}, { services, tests: { lifetime } }).lifetime), "(server-busy)", String(from));
    }
  });

  test("where nothing is answered any more the lifetime is unknown", () => {
    let knocked = 0;
    const isDead = () => knocked > 2;
    const inner = knocks((count) => {
      knocked = count;
      return isDead() ? "lost" : "answered";
    });
    const answer: Service["answer"] = (...args) => (isDead() ? [] : inner.answer(...args));
    const services = [{ addresses: inner.addresses, answer }];
    assert.equal(said(behind({}, { services, tests: { lifetime } }).lifetime), "(no-answer)");
  });

  test("a server without RESPONSE-PORT cannot tell", () => {
    const report = behind({}, { services: [alone()], tests: { lifetime } });
    assert.equal(said(report.lifetime), "(response-port-unsupported)");
    const back = (_data: Uint8Array, replies: readonly Reply[], _asked: unknown, asker: Readonly<Address>) => {
      return replies.map((reply) => ({ ...reply, to: asker }));
    };
    const ignored = behind({}, { services: [new Liar(back)], tests: { lifetime } });
    assert.equal(said(ignored.lifetime), "(response-port-unsupported)", "nor one that ignores it");
  });
});

test("RFC 5780 §4.3: mapping over TCP, from one local port", () => {
  const tests = { tcp: true };
  for (const mapping of kinds) {
    const found: string | Mapping = said(behind({ mapping, ports: "random" }, { tests }).tcpMapping);
    assert.equal(found, mapping);
  }
  assert.equal(said(behind({}, { tests, services: [alone()] }).tcpMapping), "(one-address)");
  assert.equal(said(behind({}).tcpMapping), "(not-tested)");
});

test("RFC 5780 §5: no more than ten new transactions a second", () => {
  const services = ["198.51.100.7", "198.51.100.8", "198.51.100.9"].map((ip) => alone(ip));
  const nat = new SmallNat({ mapping: "address-and-port-dependent" });
  const world = new SmallWorld({ services: [...services, two()], nat, tests: { tcp: true } });
  world.discover();
  assert.deepEqual(world.stages, ["reachability", "ports", "mapping-and-filtering", "lengths", "tcp"]);
  const starts = [...world.started.values()].sort((a, b) => a - b);
  assert.ok(starts.length > 12);
  for (const [i, start] of starts.slice(10).entries()) assert.ok(start - starts[i]! >= 1000, `${starts.join(" ")}`);
});

test("whatever bytes come, there is a report", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = new SeededRandom(seed);
    const meddle = (data: Uint8Array): Uint8Array | undefined => {
      const changed = random.oneIn(3) ? data.slice(0, random.below(data.length)) : Uint8Array.from(data);
      for (let i = random.below(4); i > 0 && changed.length > 0; i--)
        changed[random.below(changed.length)] = random.u32();
      return changed;
    };
    const lifetime = { first: 15, longest: 60, precision: 10 };
    const report = behind({ ports: "random" }, { meddle, seed, tests: { tcp: true, lifetime } });
    assert.equal(report.family, 4);
  }
});

test("nothing follows the end: an answer or a gateway's word that comes after it is for nobody", () => {
  const server = at("198.51.100.1", 3478);
  const tests = { tcp: false, gateway: true, lifetime: undefined };
  const machine = new NatDiscovery({ family: 4, servers: [server], tests }, new SeededRandom(1));
  const outputs: NatDiscoveryOutput[] = [];
  const drain = (): void => {
    for (let one = machine.pollOutput(); one !== undefined; one = machine.pollOutput()) outputs.push(one);
  };
  const now = 0 as Instant;
  machine.start(now);
  machine.handleOpened(1, at("192.168.1.2", 5000), now);
  drain();
  const request = outputs.find((one) => one.kind === "send");
  assert.ok(request);
  machine.close(now);
  drain();
  assert.equal(outputs.at(-1)?.kind, "close");
  const before = outputs.length;
  const writer = new StunWriter().begin(Method.Binding, MessageClass.Success, request.data.subarray(4, 20));
  const seen = at("203.0.113.10", 6000);
  writer.address(Attribute.MappedAddress, seen).xorAddress(Attribute.XorMappedAddress, seen);
  machine.handleMessage(1, writer.finish(), server, now);
  machine.handleGateway({ known: true, value: seen }, now);
  drain();
  assert.equal(outputs.length, before);
});

describe("RFC 8489 §14.8: a server that is busy", () => {
  /** Answers each CHANGE-REQUEST and PADDING with 500 for the first `times` that it comes. */
  function busy(times: number): Service {
    const inner = two();
    const seen = new Map<string, number>();
    const answer: Service["answer"] = (data, from, to, now) => {
      const view = new StunView();
      assert.equal(view.decode(data), undefined);
      const id = Buffer.from(data.subarray(4, 20)).toString("hex");
      const count = (seen.get(id) ?? 0) + 1;
      seen.set(id, count);
      const reflects = view.has(Attribute.ChangeRequest) || view.has(Attribute.Padding);
      if (!reflects || count > times) return inner.answer(data, from, to, now);
      const error = new StunWriter().begin(Method.Binding, MessageClass.Error, data.subarray(4, 20));
      return [{ from: to, to: from, data: error.errorCode(ErrorCode.ServerError).finish() }];
    };
    return { addresses: inner.addresses, answer };
  }

  for (const filtering of kinds) {
    test(`${filtering} filtering is found by who asks again, and nothing else is said where all is refused`, () => {
      const report = behind({ filtering }, { services: [busy(2)] });
      assert.deepEqual([said(report.filtering), said(report.fragments)], [filtering, true]);
      const refused = behind({ filtering }, { services: [busy(Number.POSITIVE_INFINITY)] });
      assert.deepEqual(
        [refused.filtering, refused.layerEvidence.filterHops, refused.longestDatagram, refused.fragments].map((one) =>
          said<unknown>(one),
        ),
        ["(server-busy)", "(server-busy)", "(server-busy)", "(server-busy)"],
      );
    });
  }
});
