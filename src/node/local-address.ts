/** Which of the host's addresses a packet would leave from. */
import { createSocket } from "node:dgram";
import { type Address, formatIp, parseIp } from "../core/base/address.ts";

/** Connecting a UDP socket asks the kernel; nothing is sent. Undefined where there is no route. The port is zero. */
export function localAddressToward(remote: Readonly<Address>): Promise<Address | undefined> {
  const { promise, resolve } = Promise.withResolvers<Address | undefined>();
  const socket = createSocket(remote.family === 4 ? "udp4" : "udp6");
  const end = (address: Address | undefined) => {
    socket.close();
    resolve(address);
  };
  // Where there is no route, Node tells the callback, and emits nothing.
  const handleConnect = (error?: Error): void => end(error ? undefined : parseIp(socket.address().address));
  socket.once("error", handleConnect);
  socket.connect(remote.port, formatIp(remote), handleConnect);
  return promise;
}
