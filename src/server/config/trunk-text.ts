/**
 * A SIP trunk as one line: `provider from=203.0.113.0/24 to=tcp:203.0.113.10 prefixes=+,00 users=all`, or with a name for
 * the DNS behind `to=`. Words may come in any order behind the trunk's own name, and each mistake is told of its word.
 */
import { z } from "zod";
import { type Address, formatIp, parseIp } from "../../core/base/address.ts";
import { type Prefix, parsePrefix } from "../../core/base/prefix.ts";
import type { Trunk, TrunkName } from "../../core/edge/config.ts";
import type { SipTarget, SipTransport } from "../../core/sip/flow.ts";
import { MALFORMED } from "../../core/sip/message/characters.ts";
import { formatUri, isSipUri, parseUri, type SipUri } from "../../core/sip/message/uri.ts";
import { usualSipPort } from "../../core/sip/resolve/resolve-sip.ts";
import { isHostName, parseEndpoint } from "./address-kinds.ts";
import type { Kind } from "./kinds.ts";

const words = ["from", "media", "to", "host", "prefixes", "users", "calls"] as const;
type Word = (typeof words)[number];

/** A URI has semicolons, too: between trunks there is one, and behind it the name of the next and its first word. */
export const BETWEEN_TRUNKS: RegExp = /;(?=\s*[\w.-]+\s+\w+=|\s*$)/;

const example = "provider from=203.0.113.0/24 to=udp:203.0.113.10 prefixes=+,00 users=all";

/** Whoever is at such an address needs no password: a slip of the pen must not let in a continent. */
const shortestPrefix = { 4: 8, 6: 19 } as const;

type Complain = (sentence: string) => undefined;

export function trunk(): Kind<Trunk> {
  const rule = `a trunk such as \`${example}\``;
  const type = z.string({ error: `must be ${rule}` }).transform((text, context) => {
    let isGood = true;
    const found = readTrunk(text, (sentence) => {
      isGood = false;
      context.addIssue(sentence);
      return undefined;
    });
    return isGood && found !== undefined ? found : z.NEVER;
  });
  return { type, form: "TRUNK", format: formatTrunk };
}

function readTrunk(text: string, complain: Complain): Trunk | undefined {
  const [name = "", ...rest] = text.trim().split(/\s+/);
  if (!/^[\w.-]{1,32}$/.test(name)) {
    return complain(`must begin with a name of letters, digits, dots and dashes, as \`${example}\` does`);
  }
  const given = readWords(name, rest, complain);
  const prefixes = (word: Word) => items(given.get(word)).flatMap((one) => readPrefix(name, word, one, complain) ?? []);
  const sources = prefixes("from");
  const target = readTarget(name, given, complain);
  if (!given.has("from") && target === undefined) complain(`(${name}) needs from=, to= or both`);
  const dialed = given.get("prefixes");
  const users = given.get("users");
  if (given.has("to") && (dialed === undefined || users === undefined)) {
    complain(
      `(${name}) needs prefixes= and users= beside to=: calls cost money, so each may be \`all\` but must be said`,
    );
  }
  if (!given.has("to")) {
    for (const word of ["host", "prefixes", "users"] as const) {
      if (given.has(word)) complain(`(${name}) has no use for ${word}= without to=, where its calls go`);
    }
  }
  return {
    name,
    sources,
    // Who speaks for itself needs no other range: a small exchange is one address.
    media: given.has("media")
      ? prefixes("media")
      : [...sources, ...(target === undefined || isName(target) ? [] : [only(target.address)])],
    target,
    host: given.get("host") ?? (target === undefined ? "" : hostOf(target)),
    prefixes: dialed === "all" ? [""] : items(dialed),
    users: users === "all" ? "all" : new Set(items(users)),
    ...readCalls(name, given.get("calls"), complain),
  };
}

function readWords(name: string, rest: readonly string[], complain: Complain): Map<Word, string> {
  const given = new Map<Word, string>();
  for (const one of rest) {
    const equals = one.indexOf("=");
    const word = words.find((known) => known === one.slice(0, Math.max(equals, 0)));
    const value = one.slice(equals + 1);
    if (word === undefined) complain(`(${name}) must not have "${one}": there are ${words.join("=, ")}=`);
    else if (value === "") complain(`(${name}) needs something behind ${word}=`);
    else if (given.has(word)) complain(`(${name}) must have ${word}= once, its values separated by commas`);
    else given.set(word, value);
  }
  return given;
}

function items(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(",").filter((one) => one !== "");
}

function readPrefix(name: string, word: Word, text: string, complain: Complain): Prefix | undefined {
  const found = parsePrefix(text);
  if (found === undefined) return complain(`(${name}) ${word}= must be addresses or prefixes, and is not "${text}"`);
  const least = shortestPrefix[found.address.family];
  if (found.length < least) return complain(`(${name}) ${word}=${text} is too large: a prefix has /${least} or more`);
  return found;
}

function readCalls(name: string, text: string | undefined, complain: Complain): { readonly calls?: number } {
  if (text === undefined) return {};
  if (/^[1-9]\d{0,4}$/.test(text)) return { calls: Number(text) };
  complain(`(${name}) calls= must be a number from 1 to 99999, and is not "${text}"`);
  return {};
}

function only(address: Readonly<Address>): Prefix {
  return parsePrefix(formatIp(address)) as Prefix;
}

function readTarget(
  name: string,
  given: ReadonlyMap<Word, string>,
  complain: Complain,
): SipTarget | TrunkName | undefined {
  const text = given.get("to");
  const host = given.get("host");
  if (host !== undefined && !isHostName(host)) complain(`(${name}) host= must be a host name, and is not "${host}"`);
  if (text === undefined) return undefined;
  const uri = readServer(text);
  if (uri === undefined) {
    const rule = "an IP address or a name, such as tcp:203.0.113.10:5060, sip.provider.net or tls:sip.provider.net";
    return complain(`(${name}) to= must be ${rule}, and is not "${text}"`);
  }
  const address = addressIn(uri);
  if (address === undefined) return { uri, serverName: host ?? uri.host, isMediaThere: !given.has("media") };
  const transport = transportIn(uri);
  return { transport, address, ...(transport === "tls" && host !== undefined && { serverName: host }) };
}

/** `tls:sip.provider.net:5061`, `203.0.113.10`, or a URI. */
function readServer(text: string): SipUri | undefined {
  const [, transport, where = ""] = /^(?:(udp|tcp|tls):)?(.*)$/.exec(text) ?? [];
  const server = parseIp(where)?.family === 6 ? `[${where}]` : where;
  const uri = parseUri(/^sips?:/i.test(text) ? text : `sip:${server}${transport ? `;transport=${transport}` : ""}`);
  if (uri === MALFORMED || !isSipUri(uri) || uri.user !== undefined || uri.headers.length > 0) return undefined;
  const isPlain = [...uri.params].every(({ name, text: value }) => {
    return name === "transport" && ["udp", "tcp", "tls"].includes(value?.toLowerCase() ?? "");
  });
  const isUsable = uri.port === undefined || (uri.port > 0 && uri.port < 65_536);
  return isPlain && isUsable && (isHostName(uri.host) || addressIn(uri) !== undefined) ? uri : undefined;
}

function transportIn({ scheme, params }: SipUri): SipTransport {
  return scheme === "sips" ? "tls" : ((params.get("transport")?.toLowerCase() ?? "udp") as SipTransport);
}

function addressIn(uri: SipUri): Address | undefined {
  const port = uri.port ?? usualSipPort(transportIn(uri));
  const ip = uri.host.replace(/^\[(.*)\]$/, "$1");
  return parseEndpoint(ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`);
}

function isName(target: SipTarget | TrunkName): target is TrunkName {
  return "uri" in target;
}

function hostOf(target: SipTarget | TrunkName): string {
  if (isName(target)) return target.uri.port === undefined ? target.uri.host : `${target.uri.host}:${target.uri.port}`;
  const { transport, address } = target;
  const ip = bracketed(address);
  return address.port === usualSipPort(transport) ? ip : `${ip}:${address.port}`;
}

function bracketed(address: Readonly<Address>): string {
  return address.family === 6 ? `[${formatIp(address)}]` : formatIp(address);
}

function addressText({ transport, address }: SipTarget): string {
  return `${transport}:${bracketed(address)}:${address.port}`;
}

function formatTrunk({ name, sources, media, target, host, prefixes, users, calls }: Trunk): string {
  const texts = (all: readonly Prefix[]) => all.map(({ address, length }) => `${formatIp(address)}/${length}`).join();
  const parts = [name];
  if (sources.length > 0) parts.push(`from=${texts(sources)}`);
  const isMediaSaid = target === undefined || !isName(target) || !target.isMediaThere;
  if (isMediaSaid && media.length > 0) parts.push(`media=${texts(media)}`);
  if (target !== undefined) {
    parts.push(`to=${isName(target) ? formatUri(target.uri) : addressText(target)}`);
    if (isHostName(host) && host !== hostOf(target)) parts.push(`host=${host}`);
    parts.push(`prefixes=${prefixes.includes("") ? "all" : prefixes.join()}`);
    parts.push(`users=${users === "all" ? "all" : [...users].join()}`);
  }
  if (calls !== undefined) parts.push(`calls=${calls}`);
  return parts.join(" ");
}
