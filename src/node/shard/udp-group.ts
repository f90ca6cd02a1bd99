/**
 * The sockets of one UDP listener for all shards, which the main thread keeps open for as long as it is listened on: when one
 * of such a group is closed, the kernel counts the others anew, and clients come to shards that do not know them.
 */
import { type Address, copyAddress } from "../../core/base/address.ts";
import { RECEIVE_BUFFER } from "../datapath/datapath.ts";
import { listenFailure } from "../net/listen-failure.ts";
import { openBeside, type SteeredPair } from "../sys/steering.ts";
import { closeDescriptor, localAddress, openUdpSocket, setReceiveBuffer } from "../sys/udp-socket.ts";

export class UdpGroup {
  /** With the port that was bound. */
  readonly address: Readonly<Address>;
  /** By shard. */
  readonly pairs: readonly SteeredPair[];

  /** Throws `PosternError`, see `TurnService.listen`. */
  constructor(asked: Readonly<Address>, shards: number) {
    try {
      const first = openUdpSocket(asked);
      try {
        this.address = copyAddress(localAddress(first));
        this.pairs = openBeside(first, this.address, shards);
      } catch (error) {
        closeDescriptor(first);
        throw error;
      }
    } catch (error) {
      throw listenFailure("udp", asked, error as Error);
    }
    for (const { media, requests } of this.pairs) {
      setReceiveBuffer(media, RECEIVE_BUFFER.listener);
      setReceiveBuffer(requests, RECEIVE_BUFFER.requests);
    }
  }

  close(): void {
    for (const { media, requests } of this.pairs) {
      closeDescriptor(media);
      closeDescriptor(requests);
    }
  }
}
