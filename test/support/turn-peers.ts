/** Peers of TURN allocations: UDP sockets that count what reaches them, and say things of their own accord. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";

export interface TurnPeer {
  /** Such as `127.0.0.2:7000`. */
  readonly address: string;
  /** Everything that came, as text, in order. */
  readonly heard: string[];
  /** Sends to a relayed transport address. */
  say(text: string, to: { readonly host: string; readonly port: number }): void;
  close(): void;
}

/** On 127.0.0.2 unless told otherwise, because 127.0.0.1 is the relay's own address. `echo`: it sends back what it gets. */
export async function startPeer({ host = "127.0.0.2", echo = false } = {}): Promise<TurnPeer> {
  const socket: Socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  const heard: string[] = [];
  socket.on("message", (data, { address, port }) => {
    heard.push(`${data}`);
    if (echo) socket.send(data, port, address);
  });
  socket.bind(0, host);
  await once(socket, "listening");
  const { port } = socket.address();
  return {
    address: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
    heard,
    say: (text, to) => socket.send(text, to.port, to.host),
    close: () => void socket.close(),
  };
}
