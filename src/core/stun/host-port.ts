/** `host [ ":" port ]`, as the URIs of STUN and TURN have it (RFC 7064 §3.1, RFC 7065 §3.1). */
import { parseIp } from "../base/address.ts";

export interface HostPort {
  /** An IP literal without brackets, or a domain name in lower case. */
  readonly host: string;
  readonly port: number | undefined;
}

const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

function isDomainName(text: string): boolean {
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  // What looks like an IPv4 address and is none is no name either: a resolver would guess.
  return name.length <= 253 && name.split(".").every((label) => LABEL.test(label)) && !/(^|\.)\d+$/.test(name);
}

function parsePort(digits: string): number | undefined {
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** The host and its port, or a sentence on what is wrong. */
export function parseHostPort(text: string): HostPort | string {
  if (parseIp(text)?.family === 6) return "An IPv6 address stands in brackets: [2001:db8::1].";
  const match = /^(\[[^\]]*\]|[^:]*)(?::([^:]*))?$/.exec(text);
  if (match === null) return "Behind the scheme stand a host and at most one port.";
  const [, name = "", digits] = match;
  const port = digits === undefined ? undefined : parsePort(digits);
  if (digits !== undefined && port === undefined) return `"${digits}" is no port: ports are 1 to 65535.`;
  if (name.startsWith("[")) {
    const literal = name.slice(1, -1);
    if (parseIp(literal)?.family !== 6) return `"${literal}" is no IPv6 address.`;
    return { host: literal, port };
  }
  const host = name.toLowerCase();
  if (host === "") return "The host is missing.";
  if (parseIp(host) !== undefined) return { host, port };
  // DEVIATES RFC 3986 §3.2.2: percent-encoded names are refused; DNS needs the A-label, and only the user knows which.
  if (/[^ -~]|%/.test(host)) return `"${name}" is no host name: write international names as A-labels (xn--…).`;
  return isDomainName(host) ? { host, port } : `"${name}" is neither an IP address nor a domain name.`;
}

export function formatHostPort({ host, port }: HostPort): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return port === undefined ? name : `${name}:${port}`;
}
