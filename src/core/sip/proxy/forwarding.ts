/** What a proxy changes in a request that it forwards (RFC 3261 §16.6), and how it tells loops. */

import { formatAddress } from "../../base/address.ts";
import { encodeBase64 } from "../../base/base64.ts";
import type { Crypto, HmacKey } from "../../base/ports.ts";
import { binaryBytes } from "../digest/algorithm.ts";
import { MALFORMED, parseNumber } from "../message/characters.ts";
import type { SipRequest } from "../message/message.ts";
import type { Hop } from "./hop.ts";

/** RFC 3261 §16.6 step 3, for requests without Max-Forwards. */
const MAX_FORWARDS = 70;
/** RFC 5393 §5.3.3, for requests without Max-Breadth. */
const MAX_BREADTH = 60;
const MAX_BREADTH_DIGITS = 0x7fff_ffff;
/** RFC 3261 §18.1.1: bytes of a request that go by UDP where nobody knows the path's MTU. */
const LARGEST_BY_UDP = 1_300;
/** What the transaction adds, our name apart. */
const VIA_LENGTH = 80;
/** Characters of a loop's mark. Chance makes two equal once in 2^48. */
const MARK_LENGTH = 8;

/** RFC 5393 §5.3.3: to how many places at once it may go, here and further on together. */
export function breadthOf(request: SipRequest): number {
  const text = request.header("max-breadth");
  return (text === undefined ? undefined : parseNumber(text, MAX_BREADTH_DIGITS)) ?? MAX_BREADTH;
}

/** Whether it has to go over a stream, where there is one. */
export function isLarge(request: SipRequest, { sentBy }: Pick<Hop, "sentBy">): boolean {
  return request.format().length + VIA_LENGTH + sentBy.length > LARGEST_BY_UDP;
}

/** A copy as the next hop gets it, but for the Via, which its transaction adds. `breadth`: its share of Max-Breadth. */
export function forwarded(request: SipRequest, hop: Hop, breadth?: number): SipRequest {
  const copy = request.copy();
  copy.replaceUri(hop.uri);
  const { maxForwards } = request;
  const left = typeof maxForwards === "number" ? maxForwards - 1 : MAX_FORWARDS;
  copy.headers.set("Max-Forwards", String(left));
  if (breadth !== undefined) copy.headers.set("Max-Breadth", String(breadth));
  for (const value of hop.recordRoute.toReversed()) copy.addRecordRoute(value);
  for (const value of hop.routes.toReversed()) copy.prependRoute(value);
  return copy;
}

/**
 * RFC 5393 §4.2.1: what decides where a request goes, as a mark that goes into our branch. A request that comes back
 * with the same mark would go the same way for ever; with another one it spirals, which is allowed.
 */
export class LoopMarks {
  readonly #crypto: Crypto;
  readonly #key: HmacKey;

  /** `key`: so that nobody else can make a request look like a loop. */
  constructor(crypto: Crypto, key: Uint8Array) {
    this.#crypto = crypto;
    this.#key = crypto.importKey(key);
  }

  /** Token characters alone. */
  of(request: SipRequest, hop: Hop): string {
    const { uriText, callId, fromTag, toTag, cseq } = request;
    const parts = [uriText, hop.uri, formatAddress("remote" in hop.to ? hop.to.remote : hop.to.address)];
    const text = [...parts, callId, fromTag ?? "", toTag ?? "", cseq.number, ...request.list("route")].join("\n");
    const tag = this.#crypto.hmacSha256(this.#key, binaryBytes(text));
    return encodeBase64(tag, "").slice(0, MARK_LENGTH).replaceAll("+", "-").replaceAll("/", "_");
  }

  /** Whether it went through here before, just so. */
  isLoop(request: SipRequest, mark: string): boolean {
    const { vias } = request;
    return vias !== MALFORMED && vias.some(({ params }) => params.get("branch")?.endsWith(`.${mark}`) ?? false);
  }
}
