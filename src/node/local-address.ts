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
  socket.once("error", () => end(undefined));
  socket.connect(remote.port, formatIp(remote), () => end(parseIp(socket.address().address)));
  return promise;
}
