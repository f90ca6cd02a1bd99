/** What a simulated socket has heard: text, from whom, when. */
import { type Address, formatAddress } from "../../src/core/base/address.ts";
import { decodeUtf8, encodeUtf8 } from "../../src/core/base/utf8.ts";
import type { UdpSocket } from "../../src/natlab/udp-socket.ts";
import type { World } from "../../src/natlab/world.ts";

export interface Heard {
  readonly text: string | undefined;
  readonly from: string;
  readonly source: Readonly<Address>;
  readonly at: number;
}

export function listen(world: World, socket: UdpSocket): Heard[] {
  const heard: Heard[] = [];
  socket.onMessage = (data, source) =>
    heard.push({ text: decodeUtf8(data), from: formatAddress(source), source, at: world.now });
  return heard;
}

export function say(socket: UdpSocket, text: string, to: Readonly<Address>): void {
  socket.send(encodeUtf8(text), to);
}
