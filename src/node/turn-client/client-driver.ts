/** Drives a TURN client. Media has inputs of its own: what they return is used at once. */
import type { PeerAddress } from "../../core/base/address.ts";
import type { Incoming } from "../../core/turn/client/state.ts";
import type { TurnSession, TurnSessionOutput } from "../../core/turn/client/turn-session.ts";
import { Driver } from "../driver.ts";
import type { ServerPath } from "./server-path.ts";

/** `data` is the receiver's to keep; `peer` is lent until the call returns. */
export type OnData = (data: Uint8Array, peer: PeerAddress) => void;

export class ClientDriver extends Driver<TurnSession, TurnSessionOutput> {
  /** One datagram, or one frame, from the server. */
  message(path: number, data: Uint8Array, deliver: OnData): void {
    if (this.stopped) return;
    let incoming: Incoming | undefined;
    try {
      incoming = this.machine.handleServerDatagram(path, data, data.length, this.now());
    } catch (cause) {
      this.fail(cause);
    }
    try {
      // What the user's code throws is the user's to see.
      if (incoming !== undefined)
        deliver(data.subarray(incoming.offset, incoming.offset + incoming.length), incoming.peer);
    } finally {
      this.settle();
    }
  }

  /** Sends by one of these paths; false when the data was dropped. */
  send(peer: PeerAddress, data: Uint8Array, paths: ReadonlyMap<number, ServerPath>): boolean {
    if (this.stopped) return false;
    const path = paths.get(this.machine.sendPath);
    const framing = path === undefined ? undefined : this.machine.send(peer, data);
    if (path === undefined || framing === undefined) return false;
    return framing.kind === "channel" ? path.sendChannelData(framing.number, data) : path.send(framing.data);
  }
}
