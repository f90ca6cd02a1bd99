/**
 * A phone's Contact as the other side sees it: the socket that really reaches the phone, with what the phone itself said
 * in a parameter, so that it gets its own URI back (RFC 3261 §12.2.1.1 has the Request-URI be the Contact exactly).
 */
import { type Address, formatAddress, parseIp, sameAddress } from "../../base/address.ts";
import { decodeBase64, encodeBase64 } from "../../base/base64.ts";
import { binaryBytes } from "../digest/algorithm.ts";
import type { SipFlow } from "../flow.ts";
import { MALFORMED } from "../message/characters.ts";
import type { SipMessage } from "../message/message.ts";
import { isSipUri, parseUri, type SipUri } from "../message/uri.ts";

const PARAM = "postern-contact";
const USUAL_PORT = { udp: 5060, tcp: 5060, tls: 5061 } as const;

/** Puts the reachable socket into the message's Contact, where the phone gave another. */
export function aliasContact(message: SipMessage, flow: SipFlow): void {
  const { contacts } = message;
  if (contacts === "*" || contacts === MALFORMED) return;
  const [contact] = contacts;
  // More than one Contact is a redirection's, not a phone's.
  if (contact === undefined || contacts.length > 1 || !isSipUri(contact.uri)) return;
  if (isAt(contact.uri, flow.remote, USUAL_PORT[flow.transport])) return;
  message.replaceContactUri(0, aliasOf(contact.uri, contact.uriText, flow));
}

/** What the phone itself had said; undefined where `uriText` is no alias. */
export function originalContact(uriText: string): string | undefined {
  const uri = parseUri(uriText);
  const text = uri !== MALFORMED && isSipUri(uri) ? uri.params.get(PARAM) : undefined;
  const bytes = text === undefined ? undefined : decodeBase64(text.replaceAll("_", "/").replaceAll("-", "+"));
  if (bytes === undefined) return undefined;
  const original = String.fromCharCode(...bytes);
  return parseUri(original) === MALFORMED ? undefined : original;
}

function aliasOf(uri: SipUri, text: string, { transport, remote }: SipFlow): string {
  const user = uri.user === undefined ? "" : `${uri.user}@`;
  const kept = encodeBase64(binaryBytes(text), "").replaceAll("+", "-").replaceAll("/", "_");
  return `${uri.scheme}:${user}${formatAddress(remote)};transport=${transport};${PARAM}=${kept}`;
}

function isAt(uri: SipUri, remote: Readonly<Address>, usualPort: number): boolean {
  const host = uri.host.startsWith("[") ? uri.host.slice(1, -1) : uri.host;
  const address = parseIp(host, uri.port ?? usualPort);
  return address !== undefined && sameAddress(address, remote);
}
