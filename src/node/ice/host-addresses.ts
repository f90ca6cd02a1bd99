/** Which of the host's addresses become candidates (RFC 8445 §5.1.1.1). */
import type { Address } from "../../core/base/address.ts";
import type { InterfaceAddress } from "../interfaces.ts";

/** fe80::/10 */
function isLinkLocal({ family, w0 }: Readonly<Address>): boolean {
  return family === 6 && w0 >>> 22 === 0x3fa;
}

/** `interfaces`: the names of those that may be used; undefined: all but those that only this host can reach. */
export function usableAddresses(
  found: readonly InterfaceAddress[],
  interfaces: readonly string[] | undefined,
): readonly Readonly<Address>[] {
  return found
    .filter(({ name, loopback }) => (interfaces === undefined ? !loopback : interfaces.includes(name)))
    .map(({ address }) => address)
    .filter((address) => !isLinkLocal(address));
}
