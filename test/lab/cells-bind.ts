/** Started in a namespace: binds UDP sockets there, and hands them to its parent. Argument: `[address, port]`s as JSON. */
import { createSocket } from "node:dgram";
import { once } from "node:events";

for (const [address, port] of JSON.parse(process.argv[2] ?? "[]") as [string, number][]) {
  const socket = createSocket("udp4");
  socket.bind(port, address);
  await once(socket, "listening");
  await new Promise((sent) => process.send?.({ address, port }, socket, {}, sent));
  socket.close();
}
process.disconnect();
