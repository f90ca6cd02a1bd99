/**
 * Ten thousand sources that nobody knows, each a socket at a loopback address of its own, which send requests of one
 * method and hear nothing.
 *
 *   node sip-flood.ts METHOD ADDRESS PORT     writes `sources N messages M` at its end
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

const [method = "INVITE", address = "127.0.0.1", port = "5060"] = process.argv.slice(2);
const sources = 10_000;
const each = 3;
/** New sources in 10 ms. */
const pace = 5;
/** Open at once. */
const most = 500;

function textOf(source: number, n: number): string {
  return [
    `${method} sip:u1@example.org SIP/2.0`,
    `Via: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bK${source}-${n};rport`,
    "Max-Forwards: 70",
    "From: <sip:u0@example.org>;tag=x",
    "To: <sip:u0@example.org>",
    `Call-ID: flood-${source}`,
    `CSeq: ${n + 1} ${method}`,
    "Content-Length: 0\r\n\r\n",
  ].join("\r\n");
}

const open: Socket[] = [];
let messages = 0;

async function begin(source: number): Promise<void> {
  const socket = createSocket("udp4");
  socket.on("error", () => {});
  socket.bind(0, `127.${64 + (source >> 8)}.${source & 255}.1`);
  await once(socket, "listening");
  open.push(socket);
  for (let n = 0; n < each; n++) socket.send(textOf(source, n), Number(port), address, () => messages++);
}

for (let first = 0; first < sources; first += pace) {
  const turn = delay(10);
  await Promise.all(Array.from({ length: pace }, (_, i) => begin(first + i)));
  for (const old of open.splice(0, Math.max(0, open.length - most))) old.close();
  await turn;
}
await delay(100);
for (const socket of open) socket.close();
console.log(`sources ${sources} messages ${messages}`);
