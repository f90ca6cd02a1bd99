/** Drives a resolution with records that a test gives. */
import { formatAddress } from "../../src/core/base/address.ts";
import type { DnsRecord, Resolution } from "../../src/core/base/resolution.ts";

export type Zone = Readonly<Record<string, readonly string[]>>;

/** `SRV 10 5 3478 a.example`, `NAPTR 1 2 s RELAY:turn.udp a.example` (`-` for no flag), or an address. */
function record(text: string): DnsRecord {
  const [type, ...rest] = text.split(" ") as [string, ...string[]];
  if (type === "SRV") {
    const [priority, weight, port] = rest.map(Number) as [number, number, number];
    return { type, priority, weight, port, target: rest[3] as string };
  }
  if (type !== "NAPTR") return { type: "address", address: text };
  const [order, preference, flags, services, replacement] = rest as [string, string, string, string, string];
  return {
    type,
    order: Number(order),
    preference: Number(preference),
    flags: flags === "-" ? "" : flags,
    services,
    replacement,
  };
}

/** What was asked, as `SRV name`, and the places that were found, as `udp 192.0.2.1:3478`. */
export function resolved(resolution: Resolution, zone: Zone): { asked: string[]; found: string[] } {
  const asked: string[] = [];
  let step = resolution.next();
  while (!step.done) {
    const { type, name } = step.value;
    asked.push(`${type} ${name}`);
    const records = (zone[name] ?? []).map(record).filter((one) => one.type === type);
    step = resolution.next(records);
  }
  return { asked, found: step.value.map(({ transport, address }) => `${transport} ${formatAddress(address)}`) };
}
