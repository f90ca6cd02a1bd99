/**
 * A SIP message: its first line, its header fields, typed when they are asked for, and its body. Text is a binary string,
 * one character a byte. Editing changes what was named and nothing else; `copy` costs an array.
 */
import { PosternError } from "../../base/failure.ts";
import { MALFORMED, type Malformed, parseNumber, skipSpace, tokenEnd } from "./characters.ts";
import { type Credentials, parseCredentials } from "./credentials.ts";
import type { Edit, HeaderField } from "./header-field.ts";
import { type Headers, readAddresses, readVias } from "./headers.ts";
import type { NameAddress } from "./name-address.ts";
import type { Param } from "./params.ts";
import { parseUri, type Uri } from "./uri.ts";
import type { Via } from "./via.ts";

export interface CSeq {
  readonly number: number;
  readonly method: string;
}

// RFC 3261 §8.1.1.5: less than 2**31.
export const MAX_CSEQ = 0x7fff_ffff;
// RFC 3261 §20.19: up to (2**32)-1.
const MAX_SECONDS = 0xffff_ffff;

function readCSeq({ value }: HeaderField): CSeq | Malformed {
  const space = value.search(/[ \t]/);
  const number = parseNumber(value.slice(0, space), MAX_CSEQ);
  const at = skipSpace(value, space, value.length);
  if (number === undefined || at === value.length || tokenEnd(value, at) !== value.length) return MALFORMED;
  return { number, method: value.slice(at) };
}

export abstract class SipMessageBase {
  readonly headers: Headers;
  #body: string;

  constructor(headers: Headers, body: string) {
    this.headers = headers;
    this.#body = body;
  }

  abstract readonly startLine: string;

  get body(): string {
    return this.#body;
  }

  /** The first value of a header, on one line. Names are in any case, long or compact. */
  header(name: string): string | undefined {
    return this.headers.value(name);
  }

  /** Of all fields of this name the elements between commas. */
  list(name: string): string[] {
    return this.headers.list(name);
  }

  /** The topmost. Parsing has made sure that there is one. */
  get via(): Via {
    return this.#topVia()[1];
  }

  get vias(): readonly Via[] | Malformed {
    return this.headers.elements("via", readVias);
  }

  get from(): NameAddress {
    return this.#address("from");
  }

  get to(): NameAddress {
    return this.#address("to");
  }

  get fromTag(): string | undefined {
    return this.from.params.get("tag");
  }

  get toTag(): string | undefined {
    return this.to.params.get("tag");
  }

  get callId(): string {
    return this.header("call-id") ?? "";
  }

  get cseq(): CSeq {
    const cseq = this.headers.field("cseq")?.parsed(readCSeq);
    return cseq === undefined || cseq === MALFORMED ? { number: 0, method: "" } : cseq;
  }

  /** Undefined where there is none. */
  get maxForwards(): number | undefined | Malformed {
    return this.#number("max-forwards", 255);
  }

  /** In seconds; more than the protocol knows is the most that it knows. */
  get expires(): number | undefined | Malformed {
    const text = this.header("expires");
    return text === undefined ? undefined : parseSeconds(text);
  }

  /** The media type in lower case, without its parameters. */
  get contentType(): string | undefined {
    return this.header("content-type")?.split(";", 1)[0]?.trim().toLowerCase();
  }

  /** "*" is for all (RFC 3261 §10.2.2). */
  get contacts(): readonly NameAddress[] | "*" | Malformed {
    return this.header("contact") === "*" && this.headers.values("contact").length === 1
      ? "*"
      : this.headers.elements("contact", readAddresses);
  }

  get routes(): readonly NameAddress[] | Malformed {
    return this.headers.elements("route", readAddresses);
  }

  get recordRoutes(): readonly NameAddress[] | Malformed {
    return this.headers.elements("record-route", readAddresses);
  }

  get paths(): readonly NameAddress[] | Malformed {
    return this.headers.elements("path", readAddresses);
  }

  /** Authorization, Proxy-Authorization, WWW-Authenticate, Proxy-Authenticate: those that keep to their grammar. */
  credentials(name: string): Credentials[] {
    const list: Credentials[] = [];
    for (const value of this.headers.values(name)) {
      const one = parseCredentials(value);
      if (one !== MALFORMED) list.push(one);
    }
    return list;
  }

  /** The Event header's package, without its parameters. */
  get event(): string | undefined {
    return this.header("event")?.split(";", 1)[0]?.trim();
  }

  prependVia(value: string): void {
    this.headers.prepend("Via", value);
  }

  /** The one that was there; undefined when there is none that can be read. */
  removeTopVia(): Via | undefined {
    return this.headers.shift("via", readVias);
  }

  /** Sets a parameter of the topmost Via where it stands, or behind the others; one that says so already stays as it is. */
  setViaParam(name: string, value: string): void {
    this.setViaParams([[name, value]]);
  }

  /** The same of several, at the cost of one. */
  setViaParams(params: readonly (readonly [name: string, value: string])[]): void {
    const [field, via] = this.#topVia();
    const edits: Edit[] = [];
    for (const [name, value] of params) {
      const param: Param | undefined = via.params.find(name.toLowerCase());
      if (param === undefined) edits.push({ at: via.end, end: via.end, text: `;${name}=${value}` });
      else if (param.text !== value) edits.push({ at: param.at, end: param.end, text: `${name}=${value}` });
    }
    if (edits.length > 0) this.headers.replace(field, field.edited(edits));
  }

  addRecordRoute(value: string): void {
    this.headers.prepend("Record-Route", value);
  }

  prependRoute(value: string): void {
    this.headers.prepend("Route", value);
  }

  /** The first Route, which is gone then; undefined when there is none that can be read. */
  popRoute(): NameAddress | undefined {
    return this.headers.shift("route", readAddresses);
  }

  /** Puts another URI into the nth Contact; its name and its parameters stay. False when there is no such one. */
  replaceContactUri(index: number, uri: string): boolean {
    let seen = 0;
    for (const field of this.headers.fields) {
      if (field.name !== "contact") continue;
      const contacts = field.parsed(readAddresses);
      if (contacts === MALFORMED) return false;
      const contact = contacts[index - seen];
      seen += contacts.length;
      if (contact === undefined) continue;
      const text = contact.isBracketed ? uri : `<${uri}>`;
      this.headers.replace(field, field.spliced(contact.uriAt, contact.uriEnd, text));
      return true;
    }
    return false;
  }

  /** With Content-Length, and with Content-Type, which stays as it was when none is given and goes with the body. */
  setBody(body: string, contentType?: string): void {
    this.#body = body;
    if (body === "") this.headers.remove("Content-Type");
    else if (contentType !== undefined) this.headers.set("Content-Type", contentType);
    this.headers.set("Content-Length", String(body.length));
  }

  format(): string {
    return `${this.startLine}\r\n${this.headers.format()}\r\n${this.#body}`;
  }

  #topVia(): readonly [HeaderField, Via] {
    const field = this.headers.field("via");
    const vias = field?.parsed(readVias);
    if (field === undefined || vias === undefined || vias === MALFORMED) throw missing("Via");
    return [field, vias[0] as Via];
  }

  #address(name: "from" | "to"): NameAddress {
    const list = this.headers.field(name)?.parsed(readAddresses);
    if (list === undefined || list === MALFORMED) throw missing(name);
    return list[0] as NameAddress;
  }

  #number(name: string, largest: number): number | undefined | Malformed {
    const text = this.headers.value(name);
    return text === undefined ? undefined : (parseNumber(text, largest) ?? MALFORMED);
  }
}

/** Only of messages that someone built without it: what was parsed has them all. */
function missing(name: string): PosternError {
  return new PosternError("missing-header", `The message needs a ${name} header that keeps to its grammar.`);
}

/** RFC 3261 §20.19 delta-seconds. */
export function parseSeconds(text: string): number | Malformed {
  const value = parseNumber(text, Number.POSITIVE_INFINITY);
  return value === undefined ? MALFORMED : Math.min(value, MAX_SECONDS);
}

export class SipRequest extends SipMessageBase {
  readonly kind = "request";
  readonly method: string;
  #uriText: string;
  #uri: Uri | Malformed | undefined;

  constructor(method: string, uri: string, headers: Headers, body: string) {
    super(headers, body);
    this.method = method;
    this.#uriText = uri;
  }

  override get startLine(): string {
    return `${this.method} ${this.#uriText} SIP/2.0`;
  }

  /** The Request-URI as it stands in the first line. */
  get uriText(): string {
    return this.#uriText;
  }

  /** The Request-URI, which parsing has made sure of but in a message that it refused. */
  get uri(): Uri {
    const uri = this.parsedUri;
    if (uri === MALFORMED) throw new PosternError("bad-uri", "The request needs a Request-URI that is a URI.");
    return uri;
  }

  get parsedUri(): Uri | Malformed {
    return (this.#uri ??= parseUri(this.#uriText));
  }

  replaceUri(uri: string): void {
    if (parseUri(uri) === MALFORMED) throw new PosternError("bad-uri", `${JSON.stringify(uri)} is no URI.`);
    this.#uriText = uri;
    this.#uri = undefined;
  }

  copy(): SipRequest {
    return new SipRequest(this.method, this.#uriText, this.headers.copy(), this.body);
  }
}

export class SipResponse extends SipMessageBase {
  readonly kind = "response";
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, headers: Headers, body: string) {
    super(headers, body);
    this.status = status;
    this.reason = reason;
  }

  override get startLine(): string {
    return `SIP/2.0 ${this.status} ${this.reason}`;
  }

  copy(): SipResponse {
    return new SipResponse(this.status, this.reason, this.headers.copy(), this.body);
  }
}

export type SipMessage = SipRequest | SipResponse;
