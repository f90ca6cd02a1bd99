/** What stands in the IP header of a datagram, told by the kernel with each that comes, and said to it with those that leave. */
import { hopLimitOf, type IpFields, trafficClassOf } from "../../core/base/ip-fields.ts";
import {
  CMSGHDR,
  IP_RECVTOS,
  IP_RECVTTL,
  IP_TOS,
  IP_TTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_HOPLIMIT,
  IPV6_RECVHOPLIMIT,
  IPV6_RECVTCLASS,
  IPV6_TCLASS,
  IPV6_UNICAST_HOPS,
} from "./layout.ts";
import { option, setOption } from "./udp-socket.ts";

/** Of the control messages that come or go with one datagram: traffic class, hop limit, length of a segment. */
export const CONTROL_ROOM: number = 3 * CMSGHDR.space;

interface FieldKinds {
  readonly level: number;
  /** Of control messages; the first is also an option. */
  readonly trafficClass: number;
  readonly hopLimit: number;
}

export const FIELD_KINDS: Readonly<Record<4 | 6, FieldKinds>> = {
  4: { level: IPPROTO_IP, trafficClass: IP_TOS, hopLimit: IP_TTL },
  6: { level: IPPROTO_IPV6, trafficClass: IPV6_TCLASS, hopLimit: IPV6_HOPLIMIT },
};

/** From now on the kernel tells them. Throws `SystemError`. */
export function hearFields(socket: number, family: 4 | 6): void {
  const [level, ...names] =
    family === 4 ? [IPPROTO_IP, IP_RECVTOS, IP_RECVTTL] : [IPPROTO_IPV6, IPV6_RECVTCLASS, IPV6_RECVHOPLIMIT];
  for (const name of names) setOption(socket, level as number, name, 1);
}

/** What leaves from now on has them, where nothing else is said with it. Throws `SystemError`. */
export function setFields(socket: number, family: 4 | 6, fields: IpFields): void {
  const { level, trafficClass } = FIELD_KINDS[family];
  setOption(socket, level, trafficClass, trafficClassOf(fields));
  setOption(socket, level, hopsOption(family), hopLimitOf(fields) || -1);
}

/** Of what leaves by a socket that was never told another one. Throws `SystemError`. */
export function systemHopLimit(socket: number, family: 4 | 6): number {
  return option(socket, FIELD_KINDS[family].level, hopsOption(family));
}

function hopsOption(family: 4 | 6): number {
  return family === 4 ? IP_TTL : IPV6_UNICAST_HOPS;
}
