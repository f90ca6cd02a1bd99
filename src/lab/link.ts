/**
 * A link that takes time, where the kernel has no netem, and that may meddle with what passes: frames that a device
 * sends leave as VXLAN datagrams, wait in this process, and go on to the device at the other end. Devices 2n and 2n + 1
 * are the two ends of a link.
 *
 *   node link.ts ORDER
 */
import { createSocket } from "node:dgram";
import type { LinkOrder } from "./link-order.ts";
import { rewritePayload } from "./rewriting.ts";
import { fillTransportChecksum } from "./transport-checksum.ts";

// RFC 7348 §5: the VNI is in bytes 4 to 6 of the header; the assigned port.
const vniByte = 6;
const headerLength = 8;
const port = 4789;

const { address, delay, rewritings } = JSON.parse(process.argv[2] as string) as LinkOrder;
const socket = createSocket({ type: "udp4", recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
/** What is on its way, oldest first: all wait equally long. */
const waiting: { readonly due: number; readonly frame: Buffer }[] = [];
let isArmed = false;
let kernel = { address: "", port };

function sendDue(): void {
  isArmed = false;
  const now = performance.now();
  while (waiting[0] !== undefined && waiting[0].due <= now) {
    socket.send((waiting.shift() as (typeof waiting)[0]).frame, port, kernel.address);
  }
  if (waiting[0] !== undefined) arm(waiting[0].due - now);
}

function arm(ms: number): void {
  if (isArmed) return;
  isArmed = true;
  setTimeout(sendDue, ms);
}

socket.on("message", (frame, from) => {
  if (frame.length < headerLength) return;
  kernel = { address: from.address, port };
  fillTransportChecksum(frame, headerLength);
  rewritePayload(frame, headerLength, rewritings);
  frame[vniByte] = (frame[vniByte] as number) ^ 1;
  waiting.push({ due: performance.now() + delay, frame });
  if (delay === 0) sendDue();
  else arm(delay);
});
socket.bind(port, address, () => console.log("ready"));
