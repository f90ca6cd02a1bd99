/** What happened on SIP's sockets. Plain numbers that only grow, but for those that say "now"; read at a scrape. */
import type { SipTransport } from "../../core/sip/flow.ts";
import type { DatapathStats } from "../datapath/datapath.ts";
import { type ConnectionStats, createConnectionStats } from "../net/stream-stats.ts";

/** Bytes of messages, without keep-alives and what was dropped. */
export interface MessageCounts {
  messagesIn: number;
  bytesIn: number;
  messagesOut: number;
  bytesOut: number;
}

/**
 * What is no message, or could not be sent. `noise`: a datagram that begins like no message; `no-connection`: the
 * connection is closed, or could not be opened; `not-sent`: UDP had no room for it, or no socket; `waiting`: too much
 * waits for that connection already; `outgoing`: too many connections are open.
 */
export const SIP_DROPS = ["noise", "no-connection", "not-sent", "waiting", "outgoing"] as const;
export type SipDrop = (typeof SIP_DROPS)[number];

/** The framer's verdicts, and two time limits: strangers', and that of connections we opened. */
const SIP_ENDS = [
  "no-content-length",
  "bad-content-length",
  "message-too-long",
  "not-sip",
  "unsettled",
  "idle",
] as const;
export type SipStreamEnd = (typeof SIP_ENDS)[number];

export interface SipSocketStats {
  readonly messages: Readonly<Record<SipTransport, MessageCounts>>;
  /** Line breaks, single zeros and STUN requests, which keep a NAT's mapping open. */
  keepAlives: number;
  readonly dropped: Record<SipDrop, number>;
  /** Connections that we opened, or did not manage to. */
  readonly connects: { opened: number; failed: number };
  /** Connections either way. */
  readonly connections: ConnectionStats<SipStreamEnd>;
  readonly datagrams: Readonly<DatapathStats>;
}

export function createSipSocketStats(datagrams: Readonly<DatapathStats>): SipSocketStats {
  const counts = (): MessageCounts => ({ messagesIn: 0, bytesIn: 0, messagesOut: 0, bytesOut: 0 });
  return {
    messages: { udp: counts(), tcp: counts(), tls: counts() },
    keepAlives: 0,
    dropped: { noise: 0, "no-connection": 0, "not-sent": 0, waiting: 0, outgoing: 0 },
    connects: { opened: 0, failed: 0 },
    connections: createConnectionStats(SIP_ENDS),
    datagrams,
  };
}
