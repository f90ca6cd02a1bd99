/** Drives a TURN client. Media has inputs of its own: what they return is used at once. */
import type { PeerAddress } from "../../core/base/address.ts";
import type { TurnClientOutput } from "../../core/turn/client/outputs.ts";
import type { Incoming } from "../../core/turn/client/state.ts";
import type { TurnClient } from "../../core/turn/client/turn-client.ts";
import { Driver } from "../driver.ts";
import type { ServerPath } from "./server-path.ts";

/** `data` is the receiver's to keep; `peer` is lent until the call returns. */
export type OnData = (data: Uint8Array, peer: PeerAddress) => void;

export class ClientDriver extends Driver<TurnClient, TurnClientOutput> {
  /** One datagram, or one frame, from the server. */
  message(data: Uint8Array, deliver: OnData): void {
    if (this.stopped) return;
    let incoming: Incoming | undefined;
    try {
      incoming = this.machine.handleServerDatagram(data, data.length, this.now());
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

  /** Sends by this path; false when the data was dropped. */
  send(peer: PeerAddress, data: Uint8Array, path: ServerPath | undefined): boolean {
    if (this.stopped || path === undefined) return false;
    const framing = this.machine.send(peer, data);
    if (framing === undefined) return false;
    return framing.kind === "channel" ? path.sendChannelData(framing.number, data) : path.send(framing.data);
  }
}
