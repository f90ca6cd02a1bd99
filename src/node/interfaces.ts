/**
 * The host's addresses, and a watch over them. Node tells nobody when an address comes or goes, so they are read every
 * few seconds.
 */
import { networkInterfaces } from "node:os";
import { type Address, formatIp, parseIp } from "../core/base/address.ts";

export interface InterfaceAddress {
  /** Port 0. Link-local addresses carry their zone. */
  readonly address: Readonly<Address>;
  /** Such as `eth0`. */
  readonly name: string;
  /** Only this host can reach it. */
  readonly loopback: boolean;
}

export interface InterfaceChange {
  readonly added: readonly InterfaceAddress[];
  readonly removed: readonly InterfaceAddress[];
  /** All that are there now. */
  readonly addresses: readonly InterfaceAddress[];
}

export interface InterfaceWatch extends Disposable {
  /** Looks now, for who cannot wait. */
  look(): void;
}

type Read = typeof networkInterfaces;

export interface InterfaceWatchOptions {
  readonly everyMs?: number;
  readonly read?: Read;
  readonly onFailure?: (error: unknown) => void;
}

/** Every IPv4 and IPv6 address of this host, in the operating system's order. */
export function interfaceAddresses(read: Read = networkInterfaces): InterfaceAddress[] {
  const found: InterfaceAddress[] = [];
  for (const [name, entries] of Object.entries(read())) {
    for (const entry of entries ?? []) {
      const zone = entry.family === "IPv6" && entry.scopeid !== 0 ? `%${name}` : "";
      const address = parseIp(entry.address + zone);
      if (address !== undefined) found.push({ address, name, loopback: entry.internal });
    }
  }
  return found;
}

function keyed(addresses: readonly InterfaceAddress[]): Map<string, InterfaceAddress> {
  return new Map(addresses.map((a) => [`${a.name} ${formatIp(a.address)}`, a]));
}

/** What differs between two readings; undefined when nothing does. */
export function interfaceChange(
  before: readonly InterfaceAddress[],
  addresses: readonly InterfaceAddress[],
): InterfaceChange | undefined {
  const old = keyed(before);
  const now = keyed(addresses);
  const added = [...now].filter(([key]) => !old.has(key)).map(([, address]) => address);
  const removed = [...old].filter(([key]) => !now.has(key)).map(([, address]) => address);
  return added.length + removed.length === 0 ? undefined : { added, removed, addresses };
}

/**
 * Calls `onChange` whenever the addresses differ from the last reading, looking every `everyMs`. Reading them takes a
 * descriptor: where none is left `onFailure` hears of it, and the last reading stands. Does not keep the process alive.
 * The disposer ends the watch.
 */
export function watchInterfaces(
  onChange: (change: InterfaceChange) => void,
  { everyMs = 5_000, read = networkInterfaces, onFailure = () => {} }: InterfaceWatchOptions = {},
): InterfaceWatch {
  let last = interfaceAddresses(read);
  const readAgain = (): InterfaceAddress[] => {
    try {
      return interfaceAddresses(read);
    } catch (error) {
      onFailure(error);
      return last;
    }
  };
  const look = (): void => {
    const addresses = readAgain();
    const change = interfaceChange(last, addresses);
    if (change === undefined) return;
    last = addresses;
    onChange(change);
  };
  const timer = setInterval(look, everyMs).unref();
  return { look, [Symbol.dispose]: () => clearInterval(timer) };
}
