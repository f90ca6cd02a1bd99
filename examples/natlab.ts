/**
 * A network in memory to test a program in: Alice, behind a NAT, asks a server for an echo.
 *
 *   node natlab.ts
 */
import { formatAddress, natBehavior, World } from "postern/natlab";

const world = new World({ seed: 1 });
const internet = world.link("internet", { delay: 20, jitter: 5, loss: 0.01 });
const home = world.link("home 1");
world.gateway("router 1", { nat: natBehavior() }).outside(internet, "203.0.113.1").inside(home, "192.168.1.1/24");
const alice = world.host("alice").attach(home, "192.168.1.2").socket({ port: 5000 });
const server = world.host("server").attach(internet, "198.51.100.1").socket({ port: 3478 });
server.onMessage = (_, from) => server.send(new TextEncoder().encode(formatAddress(from)), from);
alice.onMessage = (data) => console.log(`${world.now.toFixed()} ms: seen as ${new TextDecoder().decode(data)}`);
alice.send(new Uint8Array(100), server.address);
world.advance(1000);
