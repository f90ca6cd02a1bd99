import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { formatAddress } from "../../../src/core/base/address.ts";
import { freePort } from "../../support/ports.ts";
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

test("keep-alives and noise never come up, whoever sends them", async () => {
  await using t = new SocketsUnderTest();
  const local = await t.listen("udp");
  const phone = await t.datagrams();
  const send = (data: string | Buffer) => phone.send(data, local.port, "127.0.0.1");
  const stun = Buffer.from("000100002112a442000000000000000000000000", "hex");
  for (const keepAlive of ["", "\r\n\r\n", "\0", "\0\0\0\0", "jaK", stun]) send(keepAlive);
  const rtp = Buffer.alloc(172, 0xd5).fill(0x80, 0, 1);
  const notStun = Buffer.from(stun).fill(0, 4, 5);
  for (const noise of [
    rtp,
    notStun,
    "\r\nOPTIONS sip:a SIP/2.0\r\n",
    " OPTIONS sip:a SIP/2.0",
    "\x16\x03\x01hello, hello",
  ]) {
    send(noise);
  }
  send(options("1"));
  await t.message();
  assert.deepEqual(t.texts, [options("1")]);
  assert.deepEqual([t.stats.keepAlives, t.stats.dropped.noise], [6, 5]);
});

test("a flow stays what it was when others speak", async () => {
  await using t = new SocketsUnderTest();
  const local = await t.listen("udp");
  const phones = [await t.datagrams(), await t.datagrams("127.0.0.2")];
  for (const [i, phone] of phones.entries()) {
    phone.send(options(`${i}`), local.port, "127.0.0.1");
    await t.message(i + 1);
  }
  const froms = phones.map((phone) => `${phone.address().address}:${phone.address().port}`);
  assert.deepEqual(
    t.arrived.map(({ flow }) => formatAddress(flow.remote)),
    froms,
  );
});

test("RFC 4475 §3.1.1.2: a method may begin with any character of a token", async () => {
  await using t = new SocketsUnderTest();
  const local = await t.listen("udp");
  const phone = await t.datagrams();
  const methods = [..."!%*_+-.`'~aZ0"].map((c) => `${c}Method sip:a@example.com SIP/2.0\r\n\r\n`);
  for (const method of methods) phone.send(method, local.port, "127.0.0.1");
  await t.message(methods.length);
  assert.deepEqual(t.texts, methods);
});

test("who is gone costs nothing: what ICMP says of one disturbs no other", async () => {
  await using t = new SocketsUnderTest();
  const local = await t.listen("udp");
  const port = await freePort();
  const phone = await t.datagrams();
  for (let i = 0; i < 3; i++) t.sockets.send({ transport: "udp", address: at("127.0.0.1", port) }, options(`${i}`));
  phone.send(options("1"), local.port, "127.0.0.1");
  const { flow } = await t.message();
  t.sockets.send(flow, options("2"));
  const [data] = await once(phone, "message");
  assert.equal(String(data), options("2"));
});

test("an answer leaves by the socket that the request came to", async () => {
  await using t = new SocketsUnderTest();
  const locals = [await t.listen("udp", "127.0.0.2"), await t.listen("udp", "127.0.0.3")];
  const phone = await t.datagrams("127.0.0.1");
  for (const { port, w3 } of locals.toReversed()) {
    const ip = `127.0.0.${w3 & 255}`;
    phone.send(options(ip), port, ip);
    const { flow } = await t.message(t.arrived.length + 1);
    t.sockets.send(flow, "SIP/2.0 200 OK\r\n");
    const [, from] = await once(phone, "message");
    assert.deepEqual([from.address, from.port], [ip, port]);
    assert.equal(t.sockets.localFor(flow), flow.local);
  }
});

test("a request leaves by a socket of its family; where there is none its sender hears of it, later and once", async () => {
  await using t = new SocketsUnderTest();
  const local = await t.listen("udp");
  await t.listen("tcp");
  const phone = await t.datagrams();
  const target = { transport: "udp", address: at("127.0.0.1", phone.address().port) } as const;
  const told: string[] = [];
  t.sockets.send(target, options("1"), () => told.push("1"));
  const [, from] = await once(phone, "message");
  assert.equal(from.port, local.port);
  assert.equal(t.sockets.localFor(target), local);
  const other = { transport: "udp", address: at("::1", 5060) } as const;
  assert.equal(t.sockets.localFor(other), undefined);
  t.sockets.send(other, options("2"), () => told.push("2"));
  t.sockets.send(target, options("3", "x".repeat(65_507)), () => told.push("3"));
  t.sockets.send(other, options("4"));
  assert.deepEqual(told, []);
  await t.settled();
  assert.deepEqual(told, ["2", "3"]);
  assert.equal(t.stats.dropped["not-sent"], 3);
});
