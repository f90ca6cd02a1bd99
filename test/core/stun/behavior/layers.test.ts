/** One NAT or several: each piece of evidence, and what follows from them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type BehaviorReport, type Finding, known, unknown } from "../../../../src/core/stun/behavior/report.ts";
import { at, SmallNat } from "./small-nat.ts";
import { PosternService, SmallWorld, type WorldOptions } from "./small-world.ts";

const two = () => new PosternService(["198.51.100.1", "198.51.100.2"]);
const home = () => new SmallNat({ addresses: ["100.64.1.2"] });
const carrier = () => new SmallNat();

function said<T>(finding: Finding<T>): T | string {
  return finding.known ? finding.value : `(${finding.why})`;
}

type Hops = NonNullable<WorldOptions["hops"]>;

function through(hops: Hops, options: Partial<WorldOptions> = {}): BehaviorReport {
  return new SmallWorld({ services: [two()], hops, ...options }).discover();
}

function layersOf(hops: Hops, options: Partial<WorldOptions> = {}): unknown[] {
  const { layerEvidence, layers } = through(hops, options);
  return [said(layerEvidence.filterHops), said(layers)];
}

describe("RFC 4787 §5: how far away the outermost filter is", () => {
  test("one home router is at the first hop, and that excludes nothing", () => {
    assert.deepEqual(layersOf([carrier()]), [1, "(no-evidence)"]);
    assert.deepEqual(layersOf([carrier(), "router", "router"]), [1, "(no-evidence)"]);
  });

  test("a NAT behind a NAT, or a router in between: they look the same, so it is only probable", () => {
    assert.deepEqual(layersOf([home(), carrier()]), [2, "probably-several"]);
    assert.deepEqual(layersOf(["router", carrier(), "router"]), [2, "probably-several"]);
    assert.deepEqual(layersOf([home(), "router", "router", carrier()]), [4, "probably-several"]);
  });

  test("filters by address alone are found as well", () => {
    const nats = [home(), new SmallNat({ filtering: "address-dependent" })];
    assert.deepEqual(layersOf(nats), [2, "probably-several"]);
  });

  test("an outer NAT without a filter hides behind an inner one", () => {
    assert.deepEqual(layersOf([home(), new SmallNat({ filtering: "endpoint-independent" })]), [1, "(no-evidence)"]);
  });

  test("what cannot be told is unknown, with its reason", () => {
    const open = { filtering: "endpoint-independent" } as const;
    assert.deepEqual(layersOf([new SmallNat(open)]), ["(no-filter)", "(no-evidence)"]);
    for (const mapping of ["address-dependent", "address-and-port-dependent"] as const) {
      assert.deepEqual(layersOf([home(), new SmallNat({ mapping, ports: "random" })])[0], "(hidden-by-filter)");
    }
    const alone = [new PosternService(["198.51.100.9"], [3478])];
    assert.deepEqual(layersOf([home(), carrier()], { services: alone }), ["(one-address)", "(no-evidence)"]);
    const far: Hops = [...Array<"router">(7).fill("router"), carrier()];
    assert.deepEqual(layersOf(far), ["(too-far)", "(no-evidence)"]);
    assert.deepEqual(layersOf(far.slice(1)), [7, "probably-several"]);
  });

  test("nobody counts hops, so that every packet goes all the way: nothing is claimed", () => {
    assert.deepEqual(layersOf([home(), carrier()], { ignoresHopLimit: true }), [
      "(opened-by-first-hop)",
      "(no-evidence)",
    ]);
  });

  test("a firewall of IPv6 is found, and is no NAT", () => {
    const firewall = new SmallNat({}, { translates: false });
    const services = [new PosternService(["2001:db8::1", "2001:db8::2"])];
    const options = { services, local: "2001:db8:5::5", tests: { gateway: true } };
    const report = through(["router", "router", firewall], options);
    assert.deepEqual([said(report.layerEvidence.filterHops), said(report.layers)], [3, "(no-nat)"]);
    assert.equal(said(report.layerEvidence.gatewayAddress), "(no-nat)");
  });

  test("the datagram that dies on its way goes again with every repetition", () => {
    let lost = 0;
    const isIndication = (data: Uint8Array): boolean => (data[1]! & 0x10) !== 0;
    const blocks = (data: Uint8Array): boolean => isIndication(data) && lost++ < 16;
    assert.deepEqual(layersOf([home(), carrier()], { blocks }), [2, "probably-several"]);
    assert.ok(lost > 16);
  });

  test("trials that fail by chance move nothing: they are repeated before they are believed", () => {
    for (const unlucky of [[1], [1, 2], [2, 1, 3]]) {
      const seen: string[] = [];
      const blocks = (data: Uint8Array): boolean => {
        if ((data[1]! & 0x10) === 0) return false;
        const id = Buffer.from(data.subarray(8, 20)).toString("hex");
        if (!seen.includes(id)) seen.push(id);
        return unlucky.includes(seen.indexOf(id));
      };
      assert.deepEqual(layersOf([carrier()], { blocks }), [1, "(no-evidence)"], unlucky.join());
    }
  });

  test("a lossy link changes nothing: one packet in ten is lost, either way", () => {
    for (let seed = 1; seed <= 12; seed++) {
      assert.deepEqual(layersOf([home(), carrier()], { lossOneIn: 10, seed })[0], 2, `seed ${seed}`);
    }
  });
});

describe("RFC 6886 §3.2: what the gateway calls its external address", () => {
  const tests = { gateway: true };
  const seen = known(at("203.0.113.10"));
  const shared = known(at("100.64.1.2"));
  const elsewhere = known(at("192.0.2.77"));
  const layers = (hops: Hops, gateway?: Finding<ReturnType<typeof at>>) =>
    said(through(hops, { tests, ...(gateway && { gateway }) }).layers);

  test("the address that servers see: one NAT, whatever stands further out", () => {
    assert.equal(layers([carrier()], seen), "one");
    assert.equal(layers([carrier(), new SmallNat({}, { translates: false })], seen), "one");
  });

  test("an address that must be translated again: several, also where the outer filter hides", () => {
    for (const address of ["100.64.1.2", "10.9.8.7", "172.16.0.1", "192.168.100.2", "169.254.3.4"]) {
      assert.equal(layers([carrier()], known(at(address))), "several", address);
    }
    assert.equal(layers([home(), carrier()], shared), "several");
  });

  test("another public address: perhaps only a second way out, and the filter further out the provider's firewall", () => {
    assert.equal(layers([home(), carrier()], elsewhere), "probably-several");
    assert.equal(layers([carrier(), new SmallNat({}, { translates: false })], elsewhere), "probably-several");
    assert.equal(layers([carrier()], elsewhere), "probably-several");
  });

  test("of several public addresses that servers see any will do", () => {
    const addresses = ["203.0.113.10", "203.0.113.11", "203.0.113.12"];
    assert.equal(layers([new SmallNat({ addresses })], known(at("203.0.113.11"))), "one");
  });

  test("RFC 6886 §3.5: a gateway that translates, and says that it has no address, probably has a private one", () => {
    assert.equal(layers([carrier()], unknown("gateway-without-address")), "probably-several");
  });

  test("a gateway that does not say leaves the other evidence", () => {
    for (const why of ["gateway-silent", "gateway-refuses", "gateway-not-private", "no-gateway"] as const) {
      assert.equal(layers([home(), carrier()], unknown(why)), "probably-several", why);
      assert.equal(layers([carrier()], unknown(why)), "(no-evidence)", why);
    }
    const { layerEvidence } = through([carrier()], { tests });
    assert.equal(said(layerEvidence.gatewayAddress), "(gateway-silent)", "nobody ever answers");
    assert.equal(said(through([carrier()]).layerEvidence.gatewayAddress), "(not-tested)");
  });
});

test("RFC 6598 §7: an own address from the shared range is translated by the provider", () => {
  for (const [local, layers] of [
    ["100.64.0.1", "provider"],
    ["100.127.255.254", "provider"],
    ["100.63.255.255", "(no-evidence)"],
    ["100.128.0.0", "(no-evidence)"],
  ] as const) {
    const report = through([carrier()], { local });
    assert.deepEqual([report.layerEvidence.sharedAddress, said(report.layers)], [layers === "provider", layers], local);
  }
  const gateway = known(at("203.0.113.10"));
  assert.equal(said(through([carrier()], { local: "100.64.0.1", gateway, tests: { gateway: true } }).layers), "one");
});

test("without a NAT there are no layers", () => {
  const report = through([], { local: "9.9.9.9", tests: { gateway: true } });
  assert.deepEqual([said(report.layers), said(report.layerEvidence.gatewayAddress)], ["(no-nat)", "(no-nat)"]);
});
