import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import { until } from "../../support/until.ts";
import { makeIdentity } from "../certificate.ts";
import { at } from "../host-under-test.ts";
import { options, received, SocketsUnderTest } from "./sockets-under-test.ts";

const identity = await makeIdentity("streams.example");

for (const transport of ["tcp", "tls"] as const) {
  const connect = (t: SocketsUnderTest, local: Parameters<SocketsUnderTest["connect"]>[0]) =>
    transport === "tcp" ? t.connect(local) : t.connectTls(local);

  for (const ip of ["127.0.0.1", "::1"]) {
    test(`${transport} on ${ip}: a message comes up with its flow, is answered on it, and the end is told once`, async () => {
      await using t = new SocketsUnderTest();
      const local = await t.listen(transport, ip, identity);
      const phone = connect(t, local);
      const answer = received(phone);
      const every = Array.from({ length: 256 }, (_, c) => String.fromCharCode(c)).join("");
      phone.write(options("1", every), "latin1");
      const { text, flow } = await t.message();
      assert.equal(text, options("1", every));
      assert.deepEqual([flow.transport, flow.connection], [transport, 1]);
      assert.equal(formatAddress(flow.local), formatAddress(local));
      assert.equal(formatAddress(flow.remote), formatAddress(at(ip, phone.localPort)));
      t.sockets.send(flow, `SIP/2.0 200 OK\r\n${every}`);
      await until("the answer", () => answer.text === `SIP/2.0 200 OK\r\n${every}`);
      phone.write(options("2"));
      assert.equal((await t.message(2)).flow, flow);
      const { messagesIn, messagesOut } = t.stats.messages[transport];
      assert.deepEqual([messagesIn, messagesOut], [2, 1]);
      assert.deepEqual(t.closed, []);
      phone.end();
      await t.ended("client");
      assert.deepEqual(t.closed, [1]);
    });
  }
}

describe("messages on streams", () => {
  test("come whole, wherever they are cut", async () => {
    await using t = new SocketsUnderTest();
    const phone = t.connect(await t.listen("tcp"));
    const text = options("1", "v=0\r\n");
    for (const byte of text) {
      phone.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    phone.write(text + text.slice(0, 40));
    phone.write(text.slice(40) + text);
    await t.message(4);
    assert.deepEqual(t.texts, [text, text, text, text]);
  });
});
