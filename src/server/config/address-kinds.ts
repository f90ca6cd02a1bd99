/** Kinds of options that hold addresses. */
import { type Address, formatAddress, formatIp, parseIp } from "../../core/base/address.ts";
import { type Prefix, parsePrefix } from "../../core/base/prefix.ts";
import { type Kind, scalar } from "./kinds.ts";

function isWildcard(a: Readonly<Address>): boolean {
  return a.w0 === 0 && a.w1 === 0 && a.w2 === 0 && a.w3 === 0;
}

function singleAddress(text: string): Address | undefined {
  const address = parseIp(text);
  return address === undefined || isWildcard(address) ? undefined : address;
}

/** One IP address; its port is 0. */
export function address(): Kind<Readonly<Address>> {
  const rule = "an IP address and not a wildcard (leave the option out for every address of the host)";
  return scalar("ADDRESS", rule, singleAddress, formatIp);
}

/** `192.0.2.1:8080` or `[2001:db8::1]:8080`; undefined for anything else. */
export function parseEndpoint(text: string): Address | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65_535) return undefined;
  const found = singleAddress((match[1] ?? match[2]) as string);
  if (found === undefined || (found.family === 6) !== (match[1] !== undefined)) return undefined;
  found.port = port;
  return found;
}

/** An IP address and a port. */
export function endpoint(): Kind<Readonly<Address>> {
  return scalar(
    "ADDRESS:PORT",
    "one IP address, not a wildcard, and a port, such as 127.0.0.1:3480 or [::1]:3480",
    parseEndpoint,
    formatAddress,
  );
}

export function prefix(): Kind<Prefix> {
  const rule = "an IP address or a prefix, such as 10.0.0.0/8 or 2001:db8::/32";
  return scalar("PREFIX", rule, parsePrefix, (p) => `${formatIp(p.address)}/${p.length}`);
}

const label = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/i;

/** A DNS name of one label or more, the last of them not a number. */
export function isHostName(text: string): boolean {
  const labels = text.replace(/\.$/, "").split(".");
  return text.length <= 253 && labels.every((one) => label.test(one)) && !/^\d+$/.test(labels.at(-1) as string);
}

export function hostName(): Kind<string> {
  return scalar("NAME", "a host name, such as turn.example.org", (text) => (isHostName(text) ? text : undefined));
}

/** The right side of users' addresses, in lower case: a host name, or an IPv4 address where there is none. */
export function sipDomain(): Kind<string> {
  return scalar("NAME", "a host name such as example.org, or an IPv4 address where there is no name", (text) => {
    const isAddress = singleAddress(text)?.family === 4;
    return isAddress || isHostName(text) ? text.replace(/\.$/, "").toLowerCase() : undefined;
  });
}

/** What clients and peers are told instead of an address of the host. */
export interface ExternalAddress {
  /** Instead of which; undefined: of the address in use, in this one's family. */
  readonly bound: Readonly<Address> | undefined;
  /** A literal, or a name that is looked up again and again. */
  readonly advertised: Readonly<Address> | string;
}

function parseExternal(text: string): ExternalAddress | undefined {
  const [first = "", second, ...more] = text.split("=");
  if (more.length > 0) return undefined;
  const outside = (second ?? first).trim();
  const advertised = singleAddress(outside) ?? (isHostName(outside) ? outside : undefined);
  const bound = second === undefined ? undefined : singleAddress(first.trim());
  if (advertised === undefined || (second !== undefined && bound === undefined)) return undefined;
  const mixed = typeof advertised !== "string" && bound !== undefined && advertised.family !== bound.family;
  return mixed ? undefined : { bound, advertised };
}

export function externalAddress(): Kind<ExternalAddress> {
  return scalar(
    "[BOUND=]ADDRESS",
    "an IP address or a host name, or such a pair of one family as 10.0.0.5=203.0.113.5",
    parseExternal,
    ({ bound, advertised }) => {
      const outside = typeof advertised === "string" ? advertised : formatIp(advertised);
      return bound === undefined ? outside : `${formatIp(bound)}=${outside}`;
    },
  );
}
