/**
 * Address ranges that are nobody's peer on the Internet, from IANA's IPv4 and IPv6 special-purpose address registries,
 * with multicast and what was reserved before. `ALWAYS` cannot be opened by configuration: on many hosts 0.0.0.0 is
 * the host itself, and a relay must not multiply packets.
 */
import { type Prefix, parsePrefix } from "./prefix.ts";

function prefixes(...texts: readonly string[]): readonly Prefix[] {
  return texts.map((text) => parsePrefix(text) as Prefix);
}

export const ALWAYS_FORBIDDEN: readonly Prefix[] = prefixes(
  "0.0.0.0/8", // RFC 791: this network
  "224.0.0.0/4", // RFC 1112: multicast
  "255.255.255.255/32", // RFC 919: limited broadcast
  "::/128", // RFC 4291: unspecified
  "::/96", // RFC 4291: IPv4-compatible, but for ::1 below
  "::ffff:0:0/96", // RFC 4291: IPv4-mapped, never on a wire
  "ff00::/8", // RFC 4291: multicast
);

/** What IANA has opened of IPv6, RFC 4291 §2.4, and the well-known prefix of NAT64 (RFC 6052). All else is nobody's. */
export const GLOBAL_IPV6: readonly Prefix[] = prefixes("2000::/3", "64:ff9b::/96");

export const FORBIDDEN_BY_DEFAULT: readonly Prefix[] = prefixes(
  "10.0.0.0/8", // RFC 1918
  "100.64.0.0/10", // RFC 6598: shared address space
  "127.0.0.0/8", // RFC 1122: loopback
  "168.63.129.16/32", // no registry's: a large cloud's name server and metadata, next to every host there
  "169.254.0.0/16", // RFC 3927: link local
  "172.16.0.0/12", // RFC 1918
  "192.0.0.0/24", // RFC 6890: protocol assignments
  "192.0.2.0/24", // RFC 5737: documentation
  "192.31.196.0/24", // RFC 7535: AS112
  "192.52.193.0/24", // RFC 7450: AMT
  "192.88.99.0/24", // RFC 7526: 6to4 relay anycast
  "192.168.0.0/16", // RFC 1918
  "192.175.48.0/24", // RFC 7534: AS112
  "198.18.0.0/15", // RFC 2544: benchmarking
  "198.51.100.0/24", // RFC 5737: documentation
  "203.0.113.0/24", // RFC 5737: documentation
  "240.0.0.0/4", // RFC 1112: reserved
  "::1/128", // RFC 4291: loopback
  "64:ff9b:1::/48", // RFC 8215: local-use translation
  "100::/64", // RFC 6666: discard only
  "100:0:0:1::/64", // RFC 9780: dummy prefix
  "2001::/23", // RFC 2928: protocol assignments, Teredo and benchmarking among them
  "2001:db8::/32", // RFC 3849: documentation
  "2002::/16", // RFC 3056: 6to4
  "2620:4f:8000::/48", // RFC 7534: AS112
  "3fff::/20", // RFC 9637: documentation
  "5f00::/16", // RFC 9602: segment routing
  "fc00::/7", // RFC 4193: unique local
  "fe80::/10", // RFC 4291: link local
  "fec0::/10", // RFC 3879: site local
);
