/** Why a message is refused, and what its sender is told where it can be told anything. */
import type { SipRequest } from "./message.ts";

export interface Refusal {
  readonly code: RefusalCode;
  /** Of the response that says so. */
  readonly status: number;
  readonly reason: string;
}

const reasons = {
  "not-sip": [400, "Bad Request"],
  "message-too-long": [513, "Message Too Large"],
  "too-many-headers": [400, "Too Many Header Fields"],
  "bad-request-line": [400, "Malformed Request Line"],
  "bad-status-line": [400, "Malformed Status Line"],
  "bad-version": [505, "Version Not Supported"],
  "uri-too-long": [414, "Request-URI Too Long"],
  "bad-uri": [400, "Malformed Request-URI"],
  "uri-headers": [400, "Headers in Request-URI"],
  "bad-header": [400, "Malformed Header Field"],
  "repeated-header": [400, "Repeated Header Field"],
  "missing-via": [400, "Missing Via Header"],
  "missing-from": [400, "Missing From Header"],
  "missing-to": [400, "Missing To Header"],
  "missing-call-id": [400, "Missing Call-ID Header"],
  "missing-cseq": [400, "Missing CSeq Header"],
  "bad-via": [400, "Malformed Via Header"],
  "bad-from": [400, "Malformed From Header"],
  "bad-to": [400, "Malformed To Header"],
  "bad-call-id": [400, "Malformed Call-ID Header"],
  "bad-cseq": [400, "Malformed CSeq Header"],
  "method-mismatch": [400, "CSeq Method Does Not Match"],
  "bad-max-forwards": [400, "Malformed Max-Forwards Header"],
  "bad-contact": [400, "Malformed Contact Header"],
  "bad-route": [400, "Malformed Route Header"],
  "bad-content-length": [400, "Malformed Content-Length Header"],
  "body-too-short": [400, "Body Shorter Than Content-Length"],
} as const;

export type RefusalCode = keyof typeof reasons;

const refusals: ReadonlyMap<RefusalCode, Refusal> = new Map(
  (Object.keys(reasons) as RefusalCode[]).map((code) => {
    const [status, reason] = reasons[code];
    return [code, Object.freeze({ code, status, reason })] as const;
  }),
);

/** A message that is none. */
export interface MessageFailure {
  readonly kind: "failure";
  readonly refusal: Refusal;
  /** What `respond` can answer, copying what there is; undefined for what is never answered: responses, ACK, noise. */
  readonly request: SipRequest | undefined;
}

const silent: ReadonlyMap<RefusalCode, MessageFailure> = new Map(
  Array.from(refusals, ([code, refusal]) => [code, Object.freeze({ kind: "failure", refusal, request: undefined })]),
);

export function messageFailure(code: RefusalCode, request?: SipRequest): MessageFailure {
  if (request === undefined) return silent.get(code) as MessageFailure;
  return { kind: "failure", refusal: refusals.get(code) as Refusal, request };
}
