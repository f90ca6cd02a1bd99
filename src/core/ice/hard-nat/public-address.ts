/** Which addresses may be a NAT's on the Internet. Nothing else is probed, whatever the peer says of itself. */
import type { Address } from "../../base/address.ts";
import { anyPrefixContains, type Prefix, parsePrefix } from "../../base/prefix.ts";

/** RFC 6890 §2.2.2: those that no NAT has toward the Internet, and what is no one host's. */
const NEVER = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "224.0.0.0/3",
].map((text) => parsePrefix(text) as Prefix);

export function mayBePublic(address: Readonly<Address>): boolean {
  return address.family === 4 && !anyPrefixContains(NEVER, address);
}
