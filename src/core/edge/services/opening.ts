/** A call to a service begins: its record, and its two legs in the relay, of which one has no ports. */
import { readU32 } from "../../base/bytes.ts";
import type { Instant } from "../../base/machine.ts";
import type { Ports } from "../../base/ports.ts";
import type { MediaRelay } from "../../relay/media-relay.ts";
import type { SipFlow } from "../../sip/flow.ts";
import { cameThrough } from "../../sip/registrar/proxied.ts";
import type { Transactions } from "../../sip/transaction/transactions.ts";
import type { UaCall } from "../../sip/ua/call.ts";
import type { CallSide } from "../call.ts";
import type { Calls } from "../calls.ts";
import type { OwnNames } from "../names.ts";
import type { ServiceName } from "./descriptions.ts";
import { ServiceCall } from "./service-call.ts";

export interface ServiceParts {
  readonly transactions: Transactions;
  readonly relay: MediaRelay;
  readonly calls: Calls;
  readonly names: OwnNames;
  readonly ports: Pick<Ports, "crypto" | "random">;
}

/** Who sent a request, and by which flow. */
export interface ServiceCaller {
  readonly user: string;
  readonly flow: SipFlow;
}

/** A status where it cannot be. */
export function openCall(
  { relay, calls, ports }: ServiceParts,
  service: ServiceName,
  ua: UaCall,
  { user, flow }: ServiceCaller,
  now: Instant,
): ServiceCall | number {
  const invite = ua.asked?.transaction.request;
  const session = invite === undefined ? "sessions" : relay.openSession(user, now);
  if (invite === undefined || typeof session === "string") return 503;
  const isProxied = cameThrough(invite) !== undefined;
  const phone = relay.addLeg(session, { local: flow.local, proven: isProxied ? undefined : flow.remote, ranges: [] });
  const kind = service === "echo" ? "echo" : "sink";
  const ours = relay.addLeg(session, { local: flow.local, proven: undefined, ranges: [], service: kind });
  if (phone === "legs" || ours === "legs") {
    relay.closeSession(session);
    return 503;
  }
  const caller: CallSide = { name: user, flow, trunk: undefined, isProxied, leg: phone };
  const call = calls.begin(invite, caller, service, now);
  if (call === undefined) {
    relay.closeSession(session);
    return 482;
  }
  calls.noteSession(call, session);
  const side: CallSide = { name: service, flow, trunk: undefined, leg: ours };
  const sdpSession = readU32(ports.random.bytes(4), 0);
  return new ServiceCall({ service, ua, call, side, phone, ours, sdpSession });
}
