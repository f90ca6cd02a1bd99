/** The default gateway of an interface, where the system tells: Linux does, in /proc/net/route. */
import { readFile } from "node:fs/promises";
import { endianness } from "node:os";
import { type Address, ipv4, sameIp } from "../core/base/address.ts";
import { type InterfaceAddress, interfaceAddresses } from "./interfaces.ts";

const FLAG_UP = 1;
const FLAG_GATEWAY = 2;

interface DefaultRoute {
  readonly gateway: Readonly<Address>;
  readonly metric: number;
}

/** Words are hexadecimal, as they lie in memory. */
function word(hexadecimal: string): number {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(Number.parseInt(hexadecimal, 16));
  return endianness() === "LE" ? value.readUInt32LE() : value.readUInt32BE();
}

function defaultRoute(line: string, interfaceName: string): DefaultRoute | undefined {
  const fields = line.trim().split(/\s+/);
  const [name, , gateway = "", flags = "", , , metric = "", mask = ""] = fields;
  if (name !== interfaceName || !/^[\dA-F]{8}$/i.test(gateway)) return undefined;
  if (Number.parseInt(mask, 16) !== 0) return undefined;
  const wanted = FLAG_UP | FLAG_GATEWAY;
  if ((Number.parseInt(flags, 16) & wanted) !== wanted) return undefined;
  return { gateway: ipv4(word(gateway), 0), metric: Number(metric) };
}

/** From the text of /proc/net/route: the gateway of the default route that is taken first. */
export function gatewayInRoutes(routes: string, interfaceName: string): Readonly<Address> | undefined {
  // An address with a label is listed as an interface of its own, eth0:1; routes are eth0's.
  const [device = ""] = interfaceName.split(":");
  const found = routes.split("\n").flatMap((line) => defaultRoute(line, device) ?? []);
  return found.sort((a, b) => a.metric - b.metric)[0]?.gateway;
}

/** Of the interface that holds `local`; undefined where there is none, or the system does not tell. */
export async function defaultGateway(
  local: Readonly<Address>,
  interfaces: readonly InterfaceAddress[] = interfaceAddresses(),
): Promise<Readonly<Address> | undefined> {
  const own = interfaces.find(({ address }) => sameIp(address, local));
  if (own === undefined || local.family !== 4) return undefined;
  try {
    return gatewayInRoutes(await readFile("/proc/net/route", "utf8"), own.name);
  } catch {
    // Not on Linux.
    return undefined;
  }
}
