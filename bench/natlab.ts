/**
 * How many simulated packets a second one core delivers.
 *
 *   npm run bench:natlab -- [seconds]
 */
import { World } from "../src/natlab/world.ts";

const seconds = Number(process.argv[2] ?? 3);
const world = new World();
const [left, right] = [world.link("left", { delay: 10, jitter: 5, loss: 0.01 }), world.link("right", { delay: 10 })];
world.router("router").attach(left, "10.0.0.1", ["0.0.0.0/0"]).attach(right, "10.0.1.1", ["0.0.0.0/0"]);
const to = world.host("to").attach(right, "10.0.1.2").socket();
const senders = Array.from({ length: 50 }, (_, n) =>
  world
    .host(`from ${n}`)
    .attach(left, `10.0.0.${n + 2}`)
    .socket(),
);
const payload = new Uint8Array(172);

const began = performance.now();
let spent = 0;
while (spent < seconds * 1000) {
  for (const from of senders) from.send(payload, to.address);
  world.advance(1);
  spent = performance.now() - began;
}
const rate = Math.round((world.counts.deliveredCount * 1000) / spent);
console.log(`${rate.toLocaleString("en")} packets a second delivered over two links`);
