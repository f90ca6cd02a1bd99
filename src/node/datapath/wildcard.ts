/** A socket on all addresses cannot tell to which of them a packet came, so none is ever opened. */
import { type Address, formatIp } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";

export function isWildcard(a: Readonly<Address>): boolean {
  return a.w0 === 0 && a.w1 === 0 && a.w2 === 0 && a.w3 === 0;
}

export function wildcardFailure(address: Readonly<Address>): PosternError {
  return new PosternError("wildcard-address", `Give one local address instead of ${formatIp(address)}.`);
}

/** Throws `PosternError` `wildcard-address`. */
export function refuseWildcard(address: Readonly<Address>): void {
  if (isWildcard(address)) throw wildcardFailure(address);
}
