/** Which outside endpoint a new mapping gets: address, port, and whether there may be one more at all. */
import { type Address, copyAddress } from "../../core/base/address.ts";
import type { NatBehavior } from "../behavior.ts";
import type { AddressPool } from "./address-pool.ts";
import type { Mapped, MappingTable } from "./mapping-table.ts";
import type { Refusal } from "./nat.ts";
import type { PortChoice } from "./port-choice.ts";

type Table = MappingTable<Mapped>;

/**
 * An outside endpoint for `inside` that is free in `table`; `tables` are all that the limits count. UDP's ports and TCP's
 * are apart, so each has its table and its choice.
 */
export function assign(
  inside: Readonly<Address>,
  behavior: NatBehavior,
  pool: AddressPool,
  ports: PortChoice,
  table: Table,
  tables: readonly Table[],
): Readonly<Address> | Refusal {
  const total = tables.reduce((sum, { size }) => sum + size, 0);
  const ofHost = tables.reduce((sum, one) => sum + one.hostSize(inside), 0);
  if (total >= behavior.maxMappings || ofHost >= behavior.maxMappingsPerHost) return "mapping-limit";
  const chosen = pool.choose(inside);
  if (chosen === undefined) return "ports-exhausted";
  const outside = copyAddress(chosen);
  const port = ports.choose(inside.port, (candidate) => {
    outside.port = candidate;
    return table.at(outside).length === 0;
  });
  if (port === undefined) return "ports-exhausted";
  outside.port = port;
  return outside;
}
