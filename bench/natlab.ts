/**
 * How many simulated packets a second one core delivers: datagrams, and segments of TCP with their acknowledgments.
 *
 *   npm run bench:natlab -- [seconds]
 */
import { World } from "../src/natlab/world.ts";

const seconds = Number(process.argv[2] ?? 3);

/** Fifty hosts and one, with a router between. */
function lab() {
  const world = new World();
  const [left, right] = [world.link("left", { delay: 10, jitter: 5, loss: 0.01 }), world.link("right", { delay: 10 })];
  world.router("router").attach(left, "10.0.0.1", ["0.0.0.0/0"]).attach(right, "10.0.1.1", ["0.0.0.0/0"]);
  const senders = Array.from({ length: 50 }, (_, n) => world.host(`from ${n}`).attach(left, `10.0.0.${n + 2}`));
  return { world, senders, receiver: world.host("to").attach(right, "10.0.1.2") };
}

/** Lets `turn` happen until the time is up; packets delivered a second. */
function measure(world: World, turn: () => void): string {
  const began = performance.now();
  let spent = 0;
  while (spent < seconds * 1000) {
    turn();
    spent = performance.now() - began;
  }
  return Math.round((world.counts.deliveredCount * 1000) / spent).toLocaleString("en");
}

function datagrams(): string {
  const { world, senders, receiver } = lab();
  const to = receiver.socket();
  const sockets = senders.map((host) => host.socket());
  const payload = new Uint8Array(172);
  return measure(world, () => {
    for (const from of sockets) from.send(payload, to.address);
    world.advance(1);
  });
}

function segments(): string {
  const { world, senders, receiver } = lab();
  const { address } = receiver.listen({ port: 80 }, () => {});
  const payload = new Uint8Array(10_000);
  const connections = senders.map((host) => host.connect(address));
  return measure(world, () => {
    for (const connection of connections) if (connection.bufferedAmount < payload.length) connection.write(payload);
    world.advance(1);
  });
}

console.log(`${datagrams()} packets a second delivered over two links`);
console.log(`${segments()} segments of TCP a second`);
