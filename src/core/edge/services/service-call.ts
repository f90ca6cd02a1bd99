/** One call to a service. */
import type { Timed } from "../../base/deadlines.ts";
import type { Instant } from "../../base/machine.ts";
import type { CallDescription } from "../../call/description.ts";
import type { LegId } from "../../relay/outputs.ts";
import type { SipFlow } from "../../sip/flow.ts";
import type { UaCall } from "../../sip/ua/call.ts";
import type { Call, CallSide } from "../call.ts";
import type { ServiceName } from "./descriptions.ts";
import type { ToneStream } from "./tone-stream.ts";

export class ServiceCall implements Timed {
  /** The longest that it may last. */
  deadline: Instant = 0 as Instant;
  heapIndex = -1;
  readonly service: ServiceName;
  readonly user: string;
  readonly flow: SipFlow;
  readonly ua: UaCall;
  readonly call: Call;
  readonly side: CallSide;
  readonly phone: LegId;
  readonly ours: LegId;
  /** Of our descriptions (RFC 8866 §5.2). */
  readonly sdpSession: number;
  sdpVersion = 0;
  /** What we last said, as text without its version. */
  said = "";
  /** What the other side has offered, or we have, and is not agreed yet. */
  offer: CallDescription | undefined;
  tone: ToneStream | undefined;
  /** Why it ends, where that is not what signaling says. */
  end: string | undefined;

  constructor(
    parts: Pick<ServiceCall, "service" | "user" | "flow" | "ua" | "call" | "side" | "phone" | "ours" | "sdpSession">,
  ) {
    this.service = parts.service;
    this.user = parts.user;
    this.flow = parts.flow;
    this.ua = parts.ua;
    this.call = parts.call;
    this.side = parts.side;
    this.phone = parts.phone;
    this.ours = parts.ours;
    this.sdpSession = parts.sdpSession;
  }
}
