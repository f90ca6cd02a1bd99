/** Messages that the edge itself sends. */
import type { Ports } from "../base/ports.ts";
import { hexOf } from "../sip/digest/algorithm.ts";
import { createRequest, createResponse } from "../sip/message/build.ts";
import type { SipRequest, SipResponse } from "../sip/message/message.ts";
import type { Binding } from "../sip/registrar/binding.ts";

/** What is understood here, for those who ask. */
export const ALLOWED: readonly string[] = [
  ...["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "MESSAGE", "PRACK", "UPDATE", "INFO"],
  ...["SUBSCRIBE", "NOTIFY", "REFER", "PUBLISH"],
];

export function optionsAnswer(request: SipRequest): SipResponse {
  const headers = [
    ["Allow", ALLOWED.join(", ")],
    ["Accept", "application/sdp"],
    ["Supported", "path"],
  ] as const;
  return createResponse(request, 200, { toTag: "postern", headers });
}

/** Asks a phone whether it is there; whatever it answers refreshes its NAT. */
export function probeRequest({ aor, contact, path }: Binding, domain: string, random: Ports["random"]): SipRequest {
  const id = hexOf(random.bytes(12));
  const headers = [
    ...path.map((value) => ["Route", value] as const),
    ["Max-Forwards", "70"],
    ["From", `<sip:${domain}>;tag=${id.slice(0, 8)}`],
    ["To", `<${aor}>`],
    ["Call-ID", id],
    ["CSeq", "1 OPTIONS"],
  ] as const;
  return createRequest({ method: "OPTIONS", uri: contact, headers });
}
