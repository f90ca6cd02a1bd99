/** Under which of our names whom is told where we are: on a host with several addresses it depends on who it is. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Address, formatAddress, parseIp } from "../../../src/core/base/address.ts";
import { OwnNames } from "../../../src/core/edge/names.ts";
import type { SipTransport } from "../../../src/core/sip/flow.ts";

function at(ip: string, port = 5060): Address {
  return parseIp(ip, port) ?? assert.fail(ip);
}

/** Two networks: one of an office behind a NAT with a name outside, one of a provider's private line; and IPv6. */
const places = [
  ["192.168.7.5", "45.33.1.9"],
  ["10.20.0.2", undefined],
  ["2a00:1450::5", undefined],
] as const;
const listeners = places.flatMap(([ip, outside]) =>
  (["udp", "tcp"] as const).map((transport) => {
    return { transport, local: at(ip), name: formatAddress(outside === undefined ? at(ip) : at(outside)) };
  }),
);
const names = new OwnNames({ domain: "example.org", listeners });

function nameToward(ip: string, transport: SipTransport = "udp"): string {
  const target = { transport, address: at(ip) };
  const leavesFrom = names.listenerFor(target);
  assert.ok(leavesFrom !== undefined);
  // What is named is where it leaves from: a flow from there has the same name.
  const flow = { transport, local: leavesFrom.local, remote: target.address, connection: 0 };
  assert.equal(names.nameForTrunk(flow), names.nameForTrunk(target));
  assert.equal(names.nameForTrunk({ ...target, local: leavesFrom.local }), names.nameForTrunk(target));
  return names.nameForTrunk(target);
}

suite("our name", () => {
  test("is that of the nearest of our addresses", () => {
    assert.equal(nameToward("10.99.0.1"), "10.20.0.2:5060");
    assert.equal(nameToward("10.99.0.1", "tcp"), "10.20.0.2:5060");
    assert.equal(nameToward("2a00:1450::9"), "[2a00:1450::5]:5060");
  });

  test("is the outside one, but to a trunk on the inside with us", () => {
    assert.equal(nameToward("192.168.7.77"), "192.168.7.5:5060");
    const flow = { transport: "udp", local: at("192.168.7.5"), connection: 0 } as const;
    assert.equal(names.nameForTrunk({ ...flow, remote: at("192.168.7.77") }), "192.168.7.5:5060");
    assert.equal(names.nameForTrunk({ ...flow, remote: at("8.8.8.8") }), "45.33.1.9:5060");
    assert.equal(
      names.nameFor({ ...flow, remote: at("192.168.7.77") }),
      "45.33.1.9:5060",
      "a phone may leave the house",
    );
  });

  test("on a connection that we have opened is where we listen on that address", () => {
    const flow = { transport: "tcp", local: at("10.20.0.2", 49_152), remote: at("10.99.0.1"), connection: 4 } as const;
    assert.equal(names.nameFor(flow), "10.20.0.2:5060");
  });

  test("for what nothing of ours listens on is that of another transport, but never for UDP", () => {
    assert.equal(nameToward("10.99.0.1", "tls"), "10.20.0.2:5060");
    const streams = new OwnNames({
      domain: "example.org",
      listeners: listeners.filter((one) => one.transport === "tcp"),
    });
    assert.equal(streams.listenerFor({ transport: "udp", address: at("10.99.0.1") }), undefined);
    assert.equal(streams.nameFor({ transport: "udp", address: at("10.99.0.1") }), "example.org");
  });
});
