import assert from "node:assert/strict";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { parseIp } from "../../src/core/base/address.ts";
import { reachStream } from "../../src/node/reach.ts";
import { startDaemon } from "../support/daemon.ts";
import { freePort } from "../support/ports.ts";

async function serving(serve: (socket: Socket) => void) {
  const server = createServer(serve);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return { address: parseIp("127.0.0.1", (server.address() as AddressInfo).port)!, close: () => server.close() };
}

test("a server that answers is reached, over TCP and over TLS, whose certificate is judged by the name", async () => {
  await using daemon = await startDaemon();
  const tcp = await reachStream("tcp", parseIp("127.0.0.1", daemon.ports.port)!, "127.0.0.1");
  assert.equal(tcp?.mapped?.w3, parseIp("127.0.0.1")?.w3);
  assert.equal(tcp?.certificateProblem, undefined);
  assert.ok(tcp?.roundTrip !== undefined && tcp.roundTrip > 0 && tcp.roundTrip <= tcp.ms);
  const tls = await reachStream("tls", parseIp("127.0.0.1", daemon.ports.tlsPort)!, "turn.example.org");
  assert.match(tls?.certificateProblem ?? "", /SELF_SIGNED/);
  assert.ok(tls !== undefined && tls.ms > 0 && tls.ms < 5_000);
});

test("one that refuses, hangs up, or says something else is not", async () => {
  assert.equal(await reachStream("tcp", parseIp("127.0.0.1", await freePort())!, "127.0.0.1"), undefined);
  const other = Buffer.from("0101000c2112a442000102030405060708090a0b00200008000111112233445566778899", "hex");
  const answers: ((socket: Socket) => void)[] = [
    (socket) => socket.destroy(),
    (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"),
    // A success, of somebody else's transaction.
    (socket) => socket.end(other),
  ];
  for (const answer of answers) {
    const { address, close } = await serving((socket) => answer(socket.on("error", () => {})));
    assert.equal(await reachStream("tcp", address, "127.0.0.1"), undefined);
    close();
  }
});

test("the signal ends the wait for one that says nothing", async () => {
  const stop = new AbortController();
  const { address, close } = await serving((socket) => {
    socket.on("error", () => {});
    stop.abort(new Error("enough"));
  });
  await assert.rejects(reachStream("tcp", address, "127.0.0.1", { signal: stop.signal }), /enough/);
  close();
});
