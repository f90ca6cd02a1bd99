/** How much of a remote endpoint mapping and filtering see: nothing, its IP address, or its port too. */
import { type Address, assignAddress, blankAddress } from "../../core/base/address.ts";
import type { Dependence } from "../behavior.ts";

const nobody = blankAddress();

/** Writes into `out`, and returns, what is seen of `remote`: endpoints that give the same are the same to the NAT. */
export function seenOf(remote: Readonly<Address>, dependence: Dependence, out: Address): Readonly<Address> {
  if (dependence === "endpoint-independent") return nobody;
  assignAddress(out, remote);
  if (dependence === "address-dependent") out.port = 0;
  return out;
}
