/** One end of a path: the host, the NAT in front of it, the relay that it uses. As far as it is known. */
import { type Address, formatAddress, formatIp, sameAddress, sameIp } from "../../../core/base/address.ts";
import { type Candidate, isRelayed } from "../../../core/ice/candidate.ts";
import type { Path } from "../../../core/ice/outputs.ts";
import type { IceReport } from "../../../core/ice/report.ts";
import type {
  BehaviorReport,
  ClassicName,
  Filtering,
  Finding,
  Mapping,
  NatLayers,
} from "../../../core/stun/behavior/report.ts";

export interface NatKind {
  readonly kind?: ClassicName | undefined;
  readonly mapping?: Mapping | undefined;
  readonly filtering?: Filtering | undefined;
  readonly layers?: NatLayers | undefined;
}

/** Addresses are text. */
export interface End {
  readonly host?: string | undefined;
  /** The NAT's outside, as others see it; absent: there is no NAT on the path. */
  readonly outside?: string | undefined;
  readonly relay?: string | undefined;
  readonly nat?: NatKind | undefined;
  /** No server has answered over UDP, though some were asked. */
  readonly noUdp?: boolean | undefined;
}

/** How this end takes part in the path; without one, what it has told of itself. */
export function ownEnd(path: Path | undefined, report: IceReport, nat: BehaviorReport | undefined): End {
  const { local, servers } = report;
  const host = local.find(({ type }) => type === "host");
  const end = path === undefined ? firstOf(local) : endOf(path.local, local, host);
  const noUdp = servers.length > 0 && servers.every(({ mapped }) => mapped === undefined);
  return { ...end, ...(noUdp && { noUdp }), ...(nat?.translated.known && { nat: kindOf(nat) }) };
}

/** The same of the other end, from what it has told. */
export function peerEnd(path: Path | undefined, { remote }: IceReport): End {
  return path === undefined ? firstOf(remote) : endOf(path.remote, remote, undefined);
}

function endOf(candidate: Candidate, all: readonly Candidate[], host: Candidate | undefined): End {
  // A check by the relay may have come before the peer has told of it.
  const told = all.find((one) => one.type === "relay" && sameAddress(one.address, candidate.address));
  const { type, address, related } = told ?? candidate;
  if (type === "host") return { host: formatAddress(address) };
  if (!isRelayed(candidate)) {
    const alike = all.find((one) => one.type === "srflx" && sameIp(one.address, address))?.related;
    const inside = related ?? alike;
    return { ...(inside && { host: formatAddress(inside) }), outside: formatAddress(address) };
  }
  const relay = formatAddress(address);
  const inside = all.find((one) => one.type === "host" && one.address.family === related?.family) ?? host;
  // The socket toward the relay is another than those that are candidates.
  const at = inside === undefined ? {} : { host: formatIp(inside.address) };
  if (related === undefined || related.port === 0) return { ...at, relay };
  const isNat = !all.some((one) => one.type === "host" && sameIp(one.address, related));
  return { ...at, ...(isNat ? { outside: formatAddress(related) } : {}), relay };
}

function firstOf(candidates: readonly Candidate[]): End {
  const text = (type: Candidate["type"]): string | undefined => {
    const address: Readonly<Address> | undefined = candidates.find((one) => one.type === type)?.address;
    return address && formatAddress(address);
  };
  return { host: text("host"), outside: text("srflx"), relay: text("relay") };
}

function kindOf({ classicName, mapping, filtering, layers }: BehaviorReport): NatKind {
  const value = <T>(finding: Finding<T>): T | undefined => (finding.known ? finding.value : undefined);
  return { kind: value(classicName), mapping: value(mapping), filtering: value(filtering), layers: value(layers) };
}
