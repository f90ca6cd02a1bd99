/** Where messages and ends of connections go. Calls never come from inside one to `SipSockets`. */
import type { SipFlow } from "../../core/sip/flow.ts";

export interface SipSink {
  /** One message, as a binary string. A connection's messages have one and the same flow; so have no two datagrams. */
  handleMessage(text: string, flow: SipFlow): void;
  /** Called once for every connection whose messages may have come up, when it is closed. */
  handleConnectionClosed(connection: number): void;
}
