/**
 * What goes on with a datagram besides its bytes: the traffic class (DSCP and ECN), the hop limit, and whether nobody may
 * cut it up. One number, so that nothing is made for a packet.
 */
declare const ipFields: unique symbol;

/** From the lowest bit: eight of the traffic class, eight of the hop limit, one of DF. */
export type IpFields = number & { readonly [ipFields]?: true };

/** Best effort, Not-ECT, the hop limit of this system. */
export const NO_FIELDS: IpFields = 0;

/** No more hops are left. */
export const SPENT = -1;

export const DONT_FRAGMENT: IpFields = 1 << 16;
const ONE_HOP = 1 << 8;

export function ipFieldsOf(trafficClass: number, hopLimit: number): IpFields {
  return trafficClass | (hopLimit << 8);
}

export function trafficClassOf(fields: IpFields): number {
  return fields & 0xff;
}

/** 0: this system's own. */
export function hopLimitOf(fields: IpFields): number {
  return (fields >> 8) & 0xff;
}

export function mustNotFragment(fields: IpFields): boolean {
  return (fields & DONT_FRAGMENT) !== 0;
}

/** What leaves when it came with `fields`: one hop less, where its hops are known, or `SPENT`. */
export function onward(fields: IpFields): IpFields | typeof SPENT {
  const hops = hopLimitOf(fields);
  if (hops === 1) return SPENT;
  return hops === 0 ? fields : fields - ONE_HOP;
}
