/** Which calls are anchored: all, but those that the operator has said to be left alone, and where that can work. */
import { sameIp } from "../base/address.ts";
import type { SipFlow } from "../sip/flow.ts";
import { MALFORMED } from "../sip/message/characters.ts";
import type { SipRequest } from "../sip/message/message.ts";
import { isSipUri, parseUri, type SipUri } from "../sip/message/uri.ts";
import type { CallSide } from "./call.ts";
import type { EdgeConfig } from "./config.ts";
import type { Route } from "./routing.ts";
import { addressIn } from "./sites.ts";

/**
 * `direct`: once they are answered, calls between phones are theirs alone: no Record-Route, no relay, and their end is not
 * seen. `anchored`: signaling and media go through us.
 */
export type MediaPolicy = "anchored" | "direct";

/**
 * Whether the two sides will do without us. With the policy `direct` they do, unless we can see that it would not work: a
 * NAT or a proxy stands before one of them, they have no address family in common, or one is a trunk.
 */
export function isDirect(
  { media }: Pick<EdgeConfig, "media">,
  invite: SipRequest,
  { flow, trunk, isProxied }: CallSide,
  { groups }: Route,
): boolean {
  if (media !== "direct" || trunk !== undefined || isProxied === true) return false;
  const { contacts } = invite;
  const contact = contacts === "*" || contacts === MALFORMED ? undefined : contacts[0]?.uri;
  if (contact === undefined || !isSipUri(contact) || isBehindNat(contact, flow)) return false;
  return groups.flat().every((callee) => {
    const uri = parseUri(callee.uri);
    const isReachable = callee.trunk === undefined && callee.flow.remote.family === flow.remote.family;
    return (
      isReachable &&
      callee.routes.length === 0 &&
      callee.isProxied !== true &&
      uri !== MALFORMED &&
      isSipUri(uri) &&
      !isBehindNat(uri, callee.flow)
    );
  });
}

/** Whether a phone says to be elsewhere than it comes from. A name says nothing, and the operator's word counts. */
function isBehindNat({ host }: SipUri, { remote }: SipFlow): boolean {
  const said = addressIn(host);
  return said !== undefined && !sameIp(said, remote);
}
