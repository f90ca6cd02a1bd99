import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatAddress, formatIp, parseIp } from "../../../src/core/base/address.ts";
import type { Instant } from "../../../src/core/base/machine.ts";
import { type ExternalAddressOutput, ExternalAddressQuery } from "../../../src/core/portmap/external-address-query.ts";
import { decodeExternalAddressResponse, encodeExternalAddressRequest } from "../../../src/core/portmap/nat-pmp.ts";
import { hex } from "../../support/bytes.ts";

const success = hex("00 80 0000 00001234 cb007109");

function said(data: Uint8Array): string | undefined {
  const response = decodeExternalAddressResponse(data);
  return response?.kind === "address" ? formatIp(response.address) : response && `refused ${response.code}`;
}

describe("the codec", () => {
  test("RFC 6886 §3.2: the request is two bytes, the answer twelve", () => {
    assert.deepEqual(encodeExternalAddressRequest(), hex("0000"));
    assert.equal(said(success), "203.0.113.9");
    assert.equal(said(hex("00 80 0000 00001234 cb007109 ffff")), "203.0.113.9", "more bytes do no harm");
  });

  test("RFC 6886 §3.5: refusals, whole or short, of any version", () => {
    assert.equal(said(hex("00 80 0003 00001234 00000000")), "refused 3");
    assert.equal(said(hex("00 80 0002 00001234")), "refused 2");
    assert.equal(said(hex("00 00 0001 00001234")), "refused 1");
    assert.equal(said(hex("02 80 0001 00000000 00001234")), "refused 1", "as a gateway with PCP alone says it");
    assert.equal(said(hex("00 80 0000 00001234 00000000")), "refused 3", "no address is none");
  });

  test("anything else is no answer", () => {
    for (const other of ["", "0000", "0080", "00 80 0000 00001234", "00 00 0000 00001234 cb007109"]) {
      assert.equal(said(hex(other)), undefined, other);
    }
    for (const other of ["02 80 0000 00001234 cb007109", "00 81 0000 00001234 cb007109", "00 81 0003 00001234"]) {
      assert.equal(said(hex(other)), undefined, other);
    }
    for (let length = 0; length < success.length; length++) assert.equal(said(success.subarray(0, length)), undefined);
  });
});

describe("the query", () => {
  const gateway = parseIp("192.168.1.1")!;
  const start = 1000 as Instant;

  function outputs(query: ExternalAddressQuery): string[] {
    const all: string[] = [];
    for (let one = query.pollOutput(); one !== undefined; one = query.pollOutput()) all.push(describeOutput(one));
    return all;
  }

  function describeOutput(output: ExternalAddressOutput): string {
    if (output.kind === "send") return `${formatAddress(output.to)} ${Buffer.from(output.data).toString("hex")}`;
    const { response } = output;
    if (response === undefined) return "silence";
    return response.kind === "address" ? formatIp(response.address) : `refused ${response.code}`;
  }

  test("RFC 6886 §3.1: asks again after 250 ms, doubled each time, and gives up", () => {
    const query = new ExternalAddressQuery(gateway);
    query.start(start);
    query.start(start);
    const request = "192.168.1.1:5351 0000";
    assert.deepEqual(outputs(query), [request]);
    const waits: number[] = [];
    const said: string[] = [];
    for (let now = start as number; query.pollTimeout() !== undefined; ) {
      const due = query.pollTimeout() as Instant;
      waits.push(due - now);
      query.handleTimeout((due - 1) as Instant);
      assert.deepEqual(outputs(query), [], "not early");
      query.handleTimeout(due);
      said.push(...outputs(query));
      now = due;
    }
    assert.deepEqual(waits, [250, 500, 1000]);
    assert.deepEqual(said, [request, request, "silence"]);
  });

  test("RFC 6886 §3.2.1: only the gateway's own answer counts, and only the first", () => {
    const query = new ExternalAddressQuery(gateway);
    query.handleDatagram(success, parseIp("192.168.1.1", 5351)!, start);
    assert.deepEqual(outputs(query), [], "nothing was asked yet");
    query.start(start);
    outputs(query);
    query.handleDatagram(success, parseIp("192.168.1.2", 5351)!, start);
    query.handleDatagram(success, parseIp("192.168.1.1", 5350)!, start);
    query.handleDatagram(hex("00"), parseIp("192.168.1.1", 5351)!, start);
    assert.deepEqual(outputs(query), []);
    query.handleDatagram(success, parseIp("192.168.1.1", 5351)!, start);
    query.handleDatagram(success, parseIp("192.168.1.1", 5351)!, start);
    assert.deepEqual(outputs(query), ["203.0.113.9"]);
    assert.equal(query.pollTimeout(), undefined);
  });
});
