/** Requests that came through another proxy. */
import { MALFORMED } from "../message/characters.ts";
import type { SipRequest } from "../message/message.ts";

/**
 * The last proxy that a request came through, as that names itself; undefined where it came from its sender. RFC 3261
 * §16.6 has every proxy add a Via.
 */
export function cameThrough({ vias }: SipRequest): string | undefined {
  const via = vias === MALFORMED || vias.length < 2 ? undefined : vias[0];
  return via && `${via.host}${via.port === undefined ? "" : `:${via.port}`}`;
}
