import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import { at } from "../host-under-test.ts";
import { options, SocketsUnderTest } from "./sockets-under-test.ts";

for (const ip of ["127.0.0.1", "::1"]) {
  test(`UDP on ${ip}: a datagram comes up with its flow, and is answered to where it came from`, async () => {
    await using t = new SocketsUnderTest();
    const local = await t.listen("udp", ip);
    const phone = await t.datagrams(ip);
    const every = Array.from({ length: 256 }, (_, c) => String.fromCharCode(c)).join("");
    phone.send(Buffer.from(options("1", every), "latin1"), local.port, ip);
    const { text, flow } = await t.message();
    assert.equal(text, options("1", every));
    const { transport, connection } = flow;
    assert.deepEqual([transport, connection, formatAddress(flow.local)], ["udp", 0, formatAddress(local)]);
    assert.equal(formatAddress(flow.remote), formatAddress(at(ip, phone.address().port)));
    t.sockets.send(flow, `SIP/2.0 200 OK\r\n${every}`);
    const [data, from] = await once(phone, "message");
    assert.equal(data.toString("latin1"), `SIP/2.0 200 OK\r\n${every}`);
    assert.equal(from.port, local.port);
    const length = options("1", every).length;
    const { udp } = t.stats.messages;
    assert.deepEqual(udp, { messagesIn: 1, bytesIn: length, messagesOut: 1, bytesOut: data.length });
  });
}
