/**
 * Ports for servers under test, free for UDP and TCP, IPv4 and IPv6, and nobody else's until this process ends.
 *
 * Test files run in parallel, so a port that was merely found free may be taken by the next file. Ports come in blocks;
 * a process owns a block while it holds an abstract Unix socket of the block's name, which the kernel gives to one
 * process only and takes back when that ends. Blocks lie below the range from which systems pick ports by themselves.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

const first = 12_288;
const blockSize = 64;
const blocks = 256;

let next = 0;
let end = 0;

async function owns(block: number): Promise<boolean> {
  if (process.platform !== "linux") return true;
  const claim = createServer().unref();
  try {
    const listening = once(claim, "listening");
    claim.listen(`\0postern-test-ports-${block}`);
    await listening;
    return true;
  } catch {
    return false;
  }
}

/** Claims `count` adjacent blocks and returns the first one's first port. */
async function claim(count: number): Promise<number> {
  const start = process.pid % blocks;
  let run = 0;
  for (let i = 0; i < 2 * blocks; i++) {
    const block = (start + i) % blocks;
    if (block === 0) run = 0;
    run = (await owns(block)) ? run + 1 : 0;
    if (run === count) return first + (block - count + 1) * blockSize;
  }
  throw new Error(`no ${count * blockSize} adjacent ports are left between ${first} and ${first + blocks * blockSize}`);
}

async function binds(server: NodeJS.EventEmitter & { close(done: () => void): unknown }, go: () => void) {
  const bound = once(server, "listening");
  go();
  try {
    await bound;
  } catch (cause) {
    // A machine without IPv6 has no such port to be free.
    return (cause as NodeJS.ErrnoException).code !== "EADDRINUSE";
  }
  await new Promise<void>((done) => server.close(done));
  return true;
}

async function isFree(port: number): Promise<boolean> {
  for (const host of ["0.0.0.0", "::"]) {
    const udp = createSocket({ type: host === "::" ? "udp6" : "udp4", ipv6Only: host === "::" });
    if (!(await binds(udp, () => udp.bind(port, host)))) return false;
    const tcp = createServer();
    if (!(await binds(tcp, () => tcp.listen({ port, host, ipv6Only: host === "::" })))) return false;
  }
  return true;
}

/** One port. */
export async function freePort(): Promise<number> {
  for (;;) {
    if (next === end) {
      next = await claim(1);
      end = next + blockSize;
    }
    const port = next++;
    if (await isFree(port)) return port;
  }
}

/** Adjacent ports `low` to `high`, both included, at least `count` of them; `low` is even. */
export async function freePortRange(count: number): Promise<{ low: number; high: number }> {
  const needed = Math.ceil(count / blockSize);
  const low = await claim(needed);
  return { low, high: low + needed * blockSize - 1 };
}
