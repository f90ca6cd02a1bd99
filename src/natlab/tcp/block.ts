/**
 * What a connection knows (RFC 9293 §3.3.1, the transmission control block). The procedures beside this file change it;
 * none of them calls the program that uses the connection.
 */
import type { Address } from "../../core/base/address.ts";
import { after, type Instant } from "../../core/base/machine.ts";
import type { TcpPacket } from "../packet.ts";
import type { CloseReason } from "./byte-stream.ts";
import { Congestion } from "./congestion.ts";
import type { Reassembly } from "./reassembly.ts";
import { RoundTrip } from "./round-trip.ts";
import { advance, distance } from "./segment.ts";
import { SendQueue } from "./send-queue.ts";

/** RFC 9293 §3.3.2. LISTEN is no state of a connection here: a listener makes one for each SYN. */
export type TcpState =
  | "syn-sent"
  | "syn-received"
  | "established"
  | "fin-wait-1"
  | "fin-wait-2"
  | "close-wait"
  | "closing"
  | "last-ack"
  | "time-wait"
  | "closed";

/** What a connection needs of its host. */
export interface BlockHost {
  readonly now: Instant;
  send(packet: TcpPacket): void;
  /** Bytes of the largest IP packet that the link at `local` takes. */
  mtu(local: Readonly<Address>): number;
}

/** Bytes that the receiver holds for a program that does not read: all that a window without scaling can say. */
export const RECEIVE_BUFFER = 65_535;

export class Block {
  readonly host: BlockHost;
  readonly local: Readonly<Address>;
  readonly remote: Readonly<Address>;
  /** Opened by a SYN that came in. */
  readonly isPassive: boolean;
  state: TcpState;
  closeReason: CloseReason | undefined = undefined;

  /** ISS. */
  readonly initial: number;
  /** SND.UNA. */
  unacknowledged: number;
  /** SND.NXT; behind `highest` while what was lost is sent again. */
  next: number;
  /** Behind everything that was ever sent. */
  highest: number;
  /** SND.WND, and the segment that told it: SND.WL1 and SND.WL2. */
  sendWindow = 0;
  widestWindow = 0;
  windowSequence = 0;
  windowAcknowledgment = 0;
  readonly outgoing: SendQueue = new SendQueue();
  /** This side will say no more once `outgoing` is empty. */
  isEnding = false;
  isSynAcknowledged = false;
  isFinAcknowledged = false;
  /** Of the far side; what RFC 9293 §3.7.1 assumes when its SYN names none. */
  peerMss: number;
  /** What still passes where larger segments vanish. */
  mssLimit: number = Number.POSITIVE_INFINITY;

  /** The far side's bytes, from its SYN on; its `next` is RCV.NXT, but for the FIN. */
  incoming: Reassembly | undefined = undefined;
  /** IRS. */
  peerInitial = 0;
  /** The sequence number of the far side's FIN, once a segment told it. */
  finAt: number | undefined = undefined;
  hasFinArrived = false;
  /** In order, and not yet given to the program. */
  inbox: Uint8Array[] = [];
  inboxLength = 0;
  /** The window of the last segment that was sent. */
  toldWindow: number = RECEIVE_BUFFER;
  isAckDue = false;

  readonly roundTrip: RoundTrip = new RoundTrip();
  readonly congestion: Congestion;
  duplicates = 0;
  /** While a loss is repaired: what must be acknowledged before that is over. */
  recovery: number | undefined = undefined;
  timeouts = 0;
  retransmitAt: Instant | undefined = undefined;
  /** When it is given up, unless something is acknowledged before. */
  giveUpAt: Instant | undefined = undefined;
  /** When TIME-WAIT is over. */
  expires: Instant = Number.POSITIVE_INFINITY as Instant;
  challenges = 0;
  challengesUntil: Instant = 0 as Instant;

  constructor(
    host: BlockHost,
    local: Readonly<Address>,
    remote: Readonly<Address>,
    opening: { readonly initial: number; readonly isPassive: boolean; readonly patience: number },
  ) {
    this.host = host;
    this.local = local;
    this.remote = remote;
    this.isPassive = opening.isPassive;
    this.state = opening.isPassive ? "syn-received" : "syn-sent";
    this.initial = this.unacknowledged = this.next = this.highest = opening.initial;
    // RFC 9293 §3.7.1: 536 bytes for IPv4, 1220 for IPv6.
    this.peerMss = local.family === 6 ? 1220 : 536;
    this.congestion = new Congestion(this.ownMss);
    this.giveUpAt = after(host.now, opening.patience);
  }

  /** The most data that fits the link, behind the headers of IP and TCP. */
  get ownMss(): number {
    return Math.max(1, this.host.mtu(this.local) - (this.local.family === 6 ? 60 : 40));
  }

  /** The most data that a segment carries. */
  get mss(): number {
    return Math.min(this.peerMss, this.ownMss, this.mssLimit);
  }

  /** RCV.NXT. */
  get expected(): number {
    return advance(this.incoming?.next ?? 0, this.hasFinArrived ? 1 : 0);
  }

  /** RCV.WND. */
  get receiveWindow(): number {
    return Math.max(0, RECEIVE_BUFFER - this.inboxLength);
  }

  /** The sequence number of the first byte of `outgoing`. */
  get base(): number {
    return this.isSynAcknowledged ? this.unacknowledged : advance(this.initial, 1);
  }

  /** Bytes of `outgoing` that wait for their turn; -1 once the FIN is out behind them. */
  get waiting(): number {
    return this.isFinAcknowledged ? -1 : this.outgoing.length - distance(this.base, this.next);
  }

  get inFlight(): number {
    return distance(this.unacknowledged, this.next);
  }

  /** Ends it: nothing is sent any more, and `reason` is what the program hears. */
  close(reason: CloseReason): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.closeReason ??= reason;
    this.retransmitAt = this.giveUpAt = undefined;
    this.isAckDue = false;
  }
}
