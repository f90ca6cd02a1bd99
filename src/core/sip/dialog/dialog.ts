/**
 * A dialog (RFC 3261 §12): what two user agents share from the first response with a tag to the BYE. It says how requests
 * within it look, and which of those that come are in order. Whether it is over, its user knows.
 */
import type { HeaderLine } from "../message/build.ts";
import { createRequest } from "../message/build.ts";
import { MALFORMED, type Malformed } from "../message/characters.ts";
import { MAX_CSEQ, type SipMessage, type SipRequest, type SipResponse } from "../message/message.ts";
import { contactOf, type Hops, routeSetOf, targetOf } from "./route-set.ts";

/** RFC 3261 §8.1.1.6. */
const MAX_FORWARDS = "70";

export interface DialogParts {
  readonly callId: string;
  /** Who began it. */
  readonly role: "caller" | "callee";
  readonly localTag: string;
  /** "" for a peer of RFC 2543 that gives none (RFC 3261 §12.1.2). */
  readonly remoteTag: string;
  /** From and To of our requests, tags included. */
  readonly local: string;
  readonly remote: string;
  readonly hops: Hops;
  readonly localCSeq: number;
  readonly remoteCSeq: number | undefined;
}

export class Dialog {
  readonly callId: string;
  readonly role: "caller" | "callee";
  readonly localTag: string;
  readonly remoteTag: string;
  readonly #local: string;
  readonly #remote: string;
  #hops: Hops;
  #localCSeq: number;
  #remoteCSeq: number | undefined;

  constructor(parts: DialogParts) {
    this.callId = parts.callId;
    this.role = parts.role;
    this.localTag = parts.localTag;
    this.remoteTag = parts.remoteTag;
    this.#local = parts.local;
    this.#remote = parts.remote;
    this.#hops = parts.hops;
    this.#localCSeq = parts.localCSeq;
    this.#remoteCSeq = parts.remoteCSeq;
  }

  /** Equal for what belongs to the same dialog. */
  get key(): string {
    return dialogKey(this.callId, this.localTag, this.remoteTag);
  }

  /** The other side's Contact. */
  get remoteTarget(): string {
    return this.#hops.target;
  }

  get localCSeq(): number {
    return this.#localCSeq;
  }

  /** RFC 3261 §12.2.1.1: a request within the dialog, but for its Via. Not for ACK and CANCEL. */
  request(method: string, headers: readonly HeaderLine[] = [], body = ""): SipRequest {
    this.#localCSeq++;
    return this.#build(method, this.#localCSeq, headers, body);
  }

  /** RFC 3261 §13.2.2.4: the ACK for a 2xx has the number of its INVITE. */
  ack(cseq: number, headers: readonly HeaderLine[] = [], body = ""): SipRequest {
    return this.#build("ACK", cseq, headers, body);
  }

  /** Of a request of ours that is sent once more, with credentials. */
  nextCSeq(): number {
    this.#localCSeq++;
    return this.#localCSeq;
  }

  /**
   * Whether a request of the other side comes in its order; it counts from then on. What is not in order is answered with
   * 500.
   */
  takesInOrder({ method, cseq }: SipRequest): boolean {
    if (method === "ACK" || method === "CANCEL") return true;
    // RFC 3261 §12.2.2: a lower number is out of order. The same one again is no new request either.
    if (this.#remoteCSeq !== undefined && cseq.number <= this.#remoteCSeq) return false;
    this.#remoteCSeq = cseq.number;
    return true;
  }

  /** RFC 3261 §12.2.1.2, §12.2.2: INVITE and UPDATE, and their 2xx, say where the other side is from now on. */
  refreshTarget(message: SipMessage): void {
    const target = contactOf(message);
    if (target !== undefined) this.#hops = { ...this.#hops, target };
  }

  /** RFC 3261 §13.2.2.4: of an early dialog the route set is made anew by the 2xx. */
  confirm(response: SipResponse): void {
    const routes = routeSetOf(response, "caller");
    const target = contactOf(response) ?? this.#hops.target;
    this.#hops = { target, routes: routes === MALFORMED ? this.#hops.routes : routes };
  }

  #build(method: string, cseq: number, more: readonly HeaderLine[], body: string): SipRequest {
    const { uri, routes } = targetOf(this.#hops);
    const headers: HeaderLine[] = [
      ...routes.map((value): HeaderLine => ["Route", value]),
      ["Max-Forwards", MAX_FORWARDS],
      ["From", this.#local],
      ["To", this.#remote],
      ["Call-ID", this.callId],
      ["CSeq", `${cseq} ${method}`],
      ...more,
    ];
    return createRequest({ method, uri, headers, body });
  }
}

/** Of a dialog as one side names it. */
export function dialogKey(callId: string, localTag: string, remoteTag: string): string {
  return `${callId}\n${localTag}\n${remoteTag}`;
}

/** Of the dialog within which the other side has sent this request. */
export function dialogKeyOf(request: SipRequest): string {
  return dialogKey(request.callId, request.toTag ?? "", request.fromTag ?? "");
}

/** RFC 3261 §12.1.2: the caller's, by a response that has a tag. What the response does not say, the request did. */
export function dialogOfResponse(request: SipRequest, response: SipResponse): Dialog {
  const routes = routeSetOf(response, "caller");
  return new Dialog({
    callId: request.callId,
    role: "caller",
    localTag: request.fromTag ?? "",
    remoteTag: response.toTag ?? "",
    local: request.header("from") ?? "",
    remote: response.header("to") ?? "",
    hops: { target: contactOf(response) ?? request.uriText, routes: routes === MALFORMED ? [] : routes },
    localCSeq: request.cseq.number,
    remoteCSeq: undefined,
  });
}

/** RFC 3261 §12.1.1: the callee's, by a request whose To gets `localTag`. Malformed: it says no place to be reached at. */
export function dialogOfRequest(request: SipRequest, localTag: string): Dialog | Malformed {
  const routes = routeSetOf(request, "callee");
  const target = contactOf(request);
  if (routes === MALFORMED || target === undefined) return MALFORMED;
  const { number } = request.cseq;
  return new Dialog({
    callId: request.callId,
    role: "callee",
    localTag,
    remoteTag: request.fromTag ?? "",
    local: `${request.header("to") ?? ""};tag=${localTag}`,
    remote: request.header("from") ?? "",
    hops: { target, routes },
    // RFC 3261 §12.1.1: ours is empty. The first of ours counts from 1.
    localCSeq: 0,
    remoteCSeq: Math.min(number, MAX_CSEQ),
  });
}
