import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { sameAddress } from "../../../src/core/base/address.ts";
import { SipSockets } from "../../../src/node/sip/sip-sockets.ts";
import { freePort } from "../../support/ports.ts";
import { makeIdentity } from "../certificate.ts";
import { at } from "../host-under-test.ts";
import { options, SocketsUnderTest } from "./sockets-under-test.ts";

const identity = await makeIdentity("one.example");

describe("listen", () => {
  for (const transport of ["udp", "tcp", "tls"] as const) {
    test(`${transport}: what the operating system refuses is told in one way, and the port is free again later`, async () => {
      await using t = new SocketsUnderTest();
      await using other = new SocketsUnderTest();
      const address = at("127.0.0.1", await freePort());
      assert.ok(sameAddress(await t.sockets.listen({ transport, address, tls: identity }), address));
      await assert.rejects(other.sockets.listen({ transport, address, tls: identity }), { code: "address-busy" });
      assert.equal(other.sockets.localFor({ transport, address }), undefined, "what is not open is not named");
      await assert.rejects(t.listen(transport, "192.0.2.1", identity), { code: "address-gone" });
      await assert.rejects(t.listen(transport, "0.0.0.0", identity), { code: "wildcard-address" });
      await t.sockets.close();
      assert.ok(sameAddress(await other.sockets.listen({ transport, address, tls: identity }), address));
      await assert.rejects(t.listen(transport, "127.0.0.1", identity), { code: "closed" });
    });

    test(`${transport}: a listener that is opening when all is closed`, async () => {
      await using t = new SocketsUnderTest();
      const opening = t.listen(transport, "127.0.0.1", identity);
      const rejected = assert.rejects(opening, { code: "closed" });
      await t.sockets.close();
      await rejected;
    });
  }

  test("several, of each transport", async () => {
    await using t = new SocketsUnderTest();
    const udp = await t.listen("udp", "127.0.0.2");
    const tcp = await t.sockets.listen({ transport: "tcp", address: at("127.0.0.2", udp.port) });
    assert.equal(tcp.port, udp.port);
    const other = await t.listen("tcp", "127.0.0.3");
    t.connect(tcp).write(options("1"));
    t.connect(other).write(options("2"));
    await t.message(2);
    assert.deepEqual(new Set(t.arrived.map(({ flow }) => flow.local)), new Set([tcp, other]));
  });

  test("TLS needs a certificate and its key; a new one is for new handshakes, and a bad one changes nothing", async () => {
    await using t = new SocketsUnderTest();
    await assert.rejects(t.listen("tls"), { code: "missing-tls-identity" });
    const next = await makeIdentity("two.example");
    const bad = { certificate: identity.certificate, key: next.key };
    await assert.rejects(t.listen("tls", "127.0.0.1", bad), { code: "bad-tls-identity" });
    const local = await t.listen("tls", "127.0.0.1", identity);
    const name = async () => {
      const socket = t.connectTls(local);
      await once(socket, "secureConnect");
      return socket.getPeerCertificate().subject.CN;
    };
    assert.equal(await name(), "one.example");
    assert.throws(() => t.sockets.updateTls(bad), { code: "bad-tls-identity" });
    assert.equal(await name(), "one.example");
    t.sockets.updateTls(next);
    assert.equal(await name(), "two.example");
  });

  test("authorities that are none are refused at once", () => {
    const sink = { handleMessage: () => {}, handleConnectionClosed: () => {} };
    assert.throws(() => new SipSockets({ sink, authorities: ["no PEM"] }), { code: "bad-authorities" });
  });
});

test("the number of a connection of another process, as a token keeps it, names none of ours", async () => {
  const numbers = new Set<number>();
  for (let process = 0; process < 4; process++) {
    await using t = new SocketsUnderTest();
    const phone = t.connect(await t.listen("tcp"));
    phone.write(options("1"));
    numbers.add((await t.message()).flow.connection);
  }
  assert.equal(numbers.size, 4);
});
