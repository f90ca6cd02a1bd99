/** What a program sees of a connection, whether it is bare TCP or something on top of it. */
import type { Address } from "../../core/base/address.ts";

/**
 * Why a connection is over: both sides ended it; nobody listens there; a RST came, from the far side or from somebody
 * between; nobody answered; this side reset it; or what came in was no TLS where TLS was expected.
 */
export type CloseReason = "finished" | "refused" | "reset" | "timed-out" | "aborted" | "not-tls";

export interface ByteStream {
  readonly localAddress: Readonly<Address>;
  readonly remoteAddress: Readonly<Address>;
  /** The far side is there; not called for one that a listener took. What is written before, waits. */
  onOpen: (() => void) | undefined;
  /** Called with what arrives, in order; the bytes belong to the receiver. Their cuts mean nothing. */
  onData: ((data: Uint8Array) => void) | undefined;
  /** The far side will say no more; this side may. */
  onEnd: (() => void) | undefined;
  /** It is over, and why. Always called, once, and last. */
  onClose: ((reason: CloseReason) => void) | undefined;
  /** Less than `HIGH_WATER` bytes wait again, after a `write` that returned false. */
  onDrain: (() => void) | undefined;
  /**
   * Sends a copy of `data`. False: more waits than is good, or it is over. Throws a PosternError, code NATLAB_ENDED, after
   * `end`.
   */
  write(data: Uint8Array): boolean;
  /** Nothing more will be written. What was, still arrives. */
  end(): void;
  /** Ends it at once, by a RST. What is on its way is lost. */
  reset(): void;
  /** Takes nothing more from the network until `resume`; the far side's window closes. */
  pause(): void;
  resume(): void;
}

/** Bytes that may wait to be sent before `write` returns false. */
export const HIGH_WATER = 65_536;
