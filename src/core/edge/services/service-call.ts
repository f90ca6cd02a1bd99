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
  /** By signaling. */
  readonly ua: UaCall;
  /** As the edge knows it, with the caller's side; and ours. */
  readonly call: Call;
  readonly side: CallSide;
  /** The relay's legs: the caller's, and ours. */
  readonly phone: LegId;
  readonly ours: LegId;
  /** Of our descriptions (RFC 8866 §5.2). */
  readonly sdpSession: number;
  sdpVersion = 0;
  /** What we last said, whatever its version. */
  said = "";
  /** What we have offered, and is not answered yet. */
  offer: CallDescription | undefined;
  tone: ToneStream | undefined;
  /** Why it ends, where signaling does not say. */
  end: string | undefined;

  constructor(parts: Pick<ServiceCall, "service" | "ua" | "call" | "side" | "phone" | "ours" | "sdpSession">) {
    this.service = parts.service;
    this.ua = parts.ua;
    this.call = parts.call;
    this.side = parts.side;
    this.phone = parts.phone;
    this.ours = parts.ours;
    this.sdpSession = parts.sdpSession;
  }

  get user(): string {
    return this.call.caller.name;
  }

  /** Where the caller is now. */
  get flow(): SipFlow {
    return this.call.caller.flow;
  }
}
