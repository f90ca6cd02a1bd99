/** Which comprehension-required attributes a message may carry, and which of them we do not know (RFC 8489 §6.3). */
import { Attribute, isComprehensionRequired } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";

const NONE: readonly number[] = [];

/** UNKNOWN-ATTRIBUTES lists no more than this: a longer list tells a client nothing new, and makes an answer large. */
const MAX_UNKNOWN = 4;

/** Those of the long-term credential mechanism (RFC 8489 §9.2). */
export const CREDENTIAL_ATTRIBUTES: readonly number[] = [
  Attribute.Username,
  Attribute.Userhash,
  Attribute.Realm,
  Attribute.Nonce,
  Attribute.MessageIntegrity,
  Attribute.MessageIntegritySha256,
  Attribute.PasswordAlgorithm,
];

/** Comprehension-required attributes that requests of this server's methods may carry. */
export const KNOWN_IN_REQUESTS: readonly number[] = [
  ...CREDENTIAL_ATTRIBUTES,
  Attribute.ChannelNumber,
  Attribute.Lifetime,
  Attribute.XorPeerAddress,
  Attribute.Data,
  Attribute.RequestedAddressFamily,
  Attribute.EvenPort,
  Attribute.RequestedTransport,
  Attribute.ReservationToken,
];

/** Whether a Send indication holds an attribute that must be understood and is not. Allocates nothing. */
export function hasUnknownInSend(view: StunView, dontFragment: boolean): boolean {
  for (let i = 0; i < view.attributeCount; i++) {
    const type = view.typeAt(i);
    if (!isComprehensionRequired(type) || type === Attribute.XorPeerAddress || type === Attribute.Data) continue;
    if (type !== Attribute.DontFragment || !dontFragment) return true;
  }
  return false;
}

/** The comprehension-required attributes of `view` that are not in `known`, first ones first. */
export function unknownAttributes(view: StunView, known: readonly number[]): readonly number[] {
  let unknown: number[] | undefined;
  for (let i = 0; i < view.attributeCount; i++) {
    const type = view.typeAt(i);
    if (!isComprehensionRequired(type) || known.includes(type) || unknown?.includes(type)) continue;
    unknown ??= [];
    if (unknown.push(type) === MAX_UNKNOWN) break;
  }
  return unknown ?? NONE;
}
