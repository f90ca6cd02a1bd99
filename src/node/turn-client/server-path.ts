/** The path from a TURN client to its server: one UDP socket, or one connection. */
export interface PathSink {
  /** Open, and ready to send. Never called from inside `open`. */
  handleConnected(): void;
  /** It could not be opened, or was closed by the other side or the network; nothing follows. */
  handleDisconnected(cause: Error | undefined): void;
  /** One datagram, or one frame; the bytes are the receiver's to keep. */
  handleMessage(data: Uint8Array): void;
}

export interface ServerPath {
  /** Sends a whole message. False when it was dropped, because too much waits already. */
  send(data: Uint8Array): boolean;
  /** Sends `data`, which is copied, behind the header of a channel. */
  sendChannelData(channel: number, data: Uint8Array): boolean;
  /** Closes; the sink hears nothing more. */
  close(): void;
}

/** Unsent bytes past which media is dropped: what waits longer is of no use to a call. */
export const mediaBacklog = 131_072;
