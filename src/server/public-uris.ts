/** The URIs that clients elsewhere are told: of the best address, by the name if there is one. */
import { type Address, sameIp } from "../core/base/address.ts";
import { type AddressPlan, isLinkLocal, isLoopback } from "./address-plan.ts";
import type { Config } from "./config/config.ts";
import { type ServedAt, serverUris } from "./ice-servers.ts";
import { isSelfSigned } from "./tls/identity.ts";

/** Served addresses as they are seen from outside, the best ones first; loopback only where there is nothing else. */
export function outsideAddresses({ listen, relays }: AddressPlan): Readonly<Address>[] {
  const far = listen.filter((address) => !isLoopback(address) && !isLinkLocal(address));
  const usable = far.length > 0 ? far : listen.filter(isLoopback);
  const rank = (address: Readonly<Address>) => {
    const place = relays.findIndex(({ bound }) => sameIp(bound, address));
    return place < 0 ? relays.length : place;
  };
  return usable
    .toSorted((a, b) => rank(a) - rank(b))
    .map((address) => relays.find(({ bound }) => sameIp(bound, address))?.advertised ?? address);
}

function servedAt(config: Config, addresses: readonly Readonly<Address>[]): ServedAt[] {
  const ports = { udp: config.udpPort, tcp: config.tcpPort, tls: config.tlsPort };
  return addresses.flatMap((address) =>
    (["udp", "tcp", "tls"] as const).flatMap((transport) => {
      const port = ports[transport];
      return port === undefined ? [] : [{ transport, address: { ...address, port } }];
    }),
  );
}

/** Every URI at which clients are served. */
export function allUris(config: Config, plan: AddressPlan): string[] {
  return serverUris(servedAt(config, outsideAddresses(plan)), config.serverName);
}

/**
 * The URIs for `iceServers`: one for each transport, because browsers slow down with five or more. TLS with a
 * certificate of our own is left out: browsers refuse it.
 */
export function iceUris(config: Config, plan: AddressPlan): string[] {
  const addresses = outsideAddresses(plan);
  const best = addresses.find(({ family }) => family === 4) ?? addresses[0];
  const served = best === undefined ? [] : servedAt(config, [best]);
  const trusted = served.filter(({ transport }) => transport !== "tls" || !isSelfSigned(config));
  return serverUris(trusted, config.serverName);
}
