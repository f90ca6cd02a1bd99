/**
 * Somebody who sends media to where he is no party: to every port of a range, again and again, or as fast as it goes for
 * a second.
 *
 *   node flood.ts spray ADDRESS LOW HIGH SSRC     writes `round N` when all ports have had theirs
 *   node flood.ts second ADDRESS PORT PORT SSRC   writes `sent N` at its end
 *
 * What it sends is as good as a stranger can make it: three packets of voice in sequence, then a report, a STUN request
 * and noise.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";

const [how, address, low, high, ssrc] = process.argv.slice(2);
/** In 5 ms: of two such programs a whole range of a thousand ports gets its packets each second. */
const batch = 30;
/** Of packets that the socket takes at once, so that the timer is seen. */
const burst = 200;

function voice(sequence: number): Buffer {
  const data = Buffer.alloc(172, 0x55);
  data.writeUInt16BE(0x8000, 0);
  data.writeUInt16BE(sequence & 0xffff, 2);
  data.writeUInt32BE((sequence * 160) >>> 0, 4);
  data.writeUInt32BE(Number(ssrc), 8);
  return data;
}

function report(): Buffer {
  const data = Buffer.from("80c90001000000000000000000000000", "hex").subarray(0, 8);
  data.writeUInt32BE(Number(ssrc), 4);
  return data;
}

function* packets(round: number): Generator<Buffer> {
  for (let i = 0; i < 3; i++) yield voice(3 * round + i);
  yield report();
  yield Buffer.from("000100002112a442aaaaaaaaaaaaaaaaaaaaaaaa", "hex");
  yield Buffer.alloc(160, 0xff);
}

function* everything(): Generator<{ readonly data: Buffer; readonly port: number }> {
  for (let round = 0; ; round++) {
    for (let port = Number(low); port <= Number(high); port++) {
      for (const data of packets(round)) yield { data, port };
    }
    if (how === "spray") console.log(`round ${round}`);
  }
}

const socket = createSocket("udp4");
socket.bind(0);
await once(socket, "listening");
const source = everything();
let sent = 0;

function send(count: number): void {
  for (let i = 0; i < count; i++) {
    const { data, port } = source.next().value as { data: Buffer; port: number };
    socket.send(data, port, address);
  }
  sent += count;
}

if (how === "spray") setInterval(() => send(batch), 5);
else {
  const end = performance.now() + 1_000;
  while (performance.now() < end) {
    send(burst);
    // What the kernel did not take at once is waited for.
    await new Promise((resolve) => setImmediate(resolve));
    while (socket.getSendQueueCount() > burst) await new Promise((resolve) => setImmediate(resolve));
  }
  socket.close(() => console.log(`sent ${sent}`));
}
