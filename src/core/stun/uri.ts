/** `stun:` and `stuns:` URIs (RFC 7064). */
import { PosternError } from "../base/failure.ts";
import { formatHostPort, type HostPort, parseHostPort } from "./host-port.ts";

export interface StunUri extends HostPort {
  readonly scheme: "stun" | "stuns";
}

/** Throws `PosternError` `bad-uri`, whose message says what is wrong. */
export function parseStunUri(text: string): StunUri {
  const refuse = (why: string): PosternError => {
    return new PosternError("bad-uri", `"${text}" is no STUN URI such as stun:stun.example.org:3478. ${why}`);
  };
  const colon = text.indexOf(":");
  // RFC 3986 §3.1: schemes are compared without regard to case.
  const scheme = text.slice(0, Math.max(0, colon)).toLowerCase();
  if (scheme !== "stun" && scheme !== "stuns") throw refuse("It begins with stun: or stuns:.");
  const rest = text.slice(colon + 1);
  if (rest.startsWith("//")) throw refuse("There are no slashes behind the scheme.");
  // RFC 7064 §3.1: nothing follows the port; only TURN knows a transport.
  if (/[?#/]/.test(rest)) throw refuse("Nothing may follow the host and the port.");
  const where = parseHostPort(rest);
  if (typeof where === "string") throw refuse(where);
  return { scheme, ...where };
}

export function formatStunUri(uri: StunUri): string {
  return `${uri.scheme}:${formatHostPort(uri)}`;
}
