/**
 * Sites: networks whose hosts an operator says reach each other without us. A phone is of a site when both its signaling
 * and its media are: it comes from within, or from the public address that the site's NAT has, and where it wants its media
 * is within. Neither is enough alone: half the world has 192.168.1.0/24 at home, and who shares a public address with
 * others, behind a carrier's NAT, is not where they are.
 */
import { type Address, parseIp } from "../base/address.ts";
import { anyPrefixContains, type Prefix } from "../base/prefix.ts";
import { describeSdp } from "../call/sdp.ts";
import type { SdpDocument } from "../sdp/document.ts";
import { MALFORMED } from "../sip/message/characters.ts";
import { isSipUri, parseUri } from "../sip/message/uri.ts";
import type { CallSide } from "./call.ts";

export interface Site {
  readonly name: string;
  /** Whose hosts reach each other. */
  readonly prefixes: readonly Prefix[];
  /** Public addresses of its own NAT, where the server is outside of it. */
  readonly behind: readonly Prefix[];
}

/** Where a party wants its media: nothing where it wants none for now; undefined where it says names. */
export type MediaPlaces = readonly Readonly<Address>[] | undefined;

/** The site that both are of; undefined where there is none. A trunk is of none, nor is who has come through another proxy. */
export function sharedSite(sites: readonly Site[], one: CallSide, other: CallSide): Site | undefined {
  return sites.find((site) => isOf(site, one) && isOf(site, other));
}

function isOf({ prefixes, behind }: Site, { flow, trunk, isProxied, places }: CallSide): boolean {
  if (trunk !== undefined || isProxied === true || places === undefined || places.length === 0) return false;
  const isThere = anyPrefixContains(prefixes, flow.remote) || anyPrefixContains(behind, flow.remote);
  return isThere && places.every((place) => anyPrefixContains(prefixes, place));
}

export function mediaPlaces(document: SdpDocument): MediaPlaces {
  const { streams } = describeSdp(document);
  const live = streams.filter(({ isRefused, isUnplaced }) => !isRefused && !isUnplaced);
  const all = live.flatMap(({ media, control }) => [media, control]).filter((place) => place !== undefined);
  const known = all.flatMap(({ address }) => address ?? []);
  return known.length === all.length ? known : undefined;
}

/** What a phone that has not described its media yet says of itself: the host of its Contact. */
export function contactPlaces(contact: string): MediaPlaces {
  const uri = parseUri(contact);
  if (uri === MALFORMED || !isSipUri(uri)) return undefined;
  const address = addressIn(uri.host);
  return address && [address];
}

/** Undefined for a name. */
export function addressIn(host: string): Readonly<Address> | undefined {
  return parseIp(host.startsWith("[") ? host.slice(1, -1) : host);
}
