/** `turn:` and `turns:` URIs (RFC 7065). */
import { PosternError } from "../base/failure.ts";
import { formatHostPort, type HostPort, parseHostPort } from "../stun/host-port.ts";

export interface TurnUri extends HostPort {
  readonly scheme: "turn" | "turns";
  /** Between client and server. With `turns` TLS goes over `tcp`, and DTLS over `udp`. */
  readonly transport: "udp" | "tcp" | undefined;
}

/** Throws `PosternError` `bad-uri`, whose message says what is wrong. */
export function parseTurnUri(text: string): TurnUri {
  const refuse = (why: string): PosternError => {
    return new PosternError("bad-uri", `"${text}" is no TURN URI such as turn:turn.example.org?transport=tcp. ${why}`);
  };
  const colon = text.indexOf(":");
  // RFC 3986 §3.1: schemes are compared without regard to case.
  const scheme = text.slice(0, Math.max(0, colon)).toLowerCase();
  if (scheme !== "turn" && scheme !== "turns") throw refuse("It begins with turn: or turns:.");
  const rest = text.slice(colon + 1);
  if (rest.startsWith("//")) throw refuse("There are no slashes behind the scheme.");
  const question = rest.indexOf("?");
  const place = question < 0 ? rest : rest.slice(0, question);
  if (/[@/#]/.test(place))
    throw refuse("Only a host and a port stand there; user names and credentials go beside the URI.");
  const where = parseHostPort(place);
  if (typeof where === "string") throw refuse(where);
  const transport = question < 0 ? undefined : parseTransport(rest.slice(question + 1));
  if (transport === "unknown") throw refuse("Behind the question mark stands transport=udp or transport=tcp.");
  return { scheme, ...where, transport };
}

function parseTransport(query: string): "udp" | "tcp" | "unknown" {
  const value = /^transport=(.*)$/.exec(query)?.[1]?.toLowerCase();
  // RFC 5928 §3: a transport that is not known cannot be resolved.
  return value === "udp" || value === "tcp" ? value : "unknown";
}

export function formatTurnUri(uri: TurnUri): string {
  const query = uri.transport === undefined ? "" : `?transport=${uri.transport}`;
  return `${uri.scheme}:${formatHostPort(uri)}${query}`;
}
