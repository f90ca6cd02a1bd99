/**
 * A tunnel's far end in one process: whatever UDP over IPv4 leaves by the interface comes back from where it went, with
 * addresses and ports exchanged, which leaves checksums as they are.
 *
 *   node test/interop/tun-echo.ts NAME
 */
import { openSync, readSync, writeSync } from "node:fs";
import { foreign } from "../../src/node/sys/foreign.ts";

const TUNSETIFF = 0x4004_54ca;
/** Packets as they are, without a header in front. */
const IFF_TUN_NO_PI = 0x1001;

const functions = foreign();
if (functions instanceof Error) throw functions;
const ioctl = functions.load(null).func("ioctl", "int", ["int", "uint64_t", "uintptr_t"]);
const request = Buffer.alloc(40);
request.write(process.argv[2] ?? "", "latin1");
request.writeUInt16LE(IFF_TUN_NO_PI, 16);
const tunnel = openSync("/dev/net/tun", "r+");
if (ioctl(tunnel, TUNSETIFF, functions.address(request)) < 0) throw new Error(`TUNSETIFF: ${functions.errno()}`);
process.stdout.write("ready\n");

const packet = Buffer.alloc(2_048);
for (;;) {
  const length = readSync(tunnel, packet);
  if (packet[0] !== 0x45 || packet[9] !== 17) continue;
  for (const [a, b, size] of [
    [12, 16, 4],
    [20, 22, 2],
  ] as const) {
    const first = Buffer.from(packet.subarray(a, a + size));
    packet.copyWithin(a, b, b + size);
    packet.set(first, b);
  }
  writeSync(tunnel, packet, 0, length);
}
