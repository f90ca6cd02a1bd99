/** What a server (RFC 3261 §8.2) or a proxy (§16.3) makes sure of before it does anything with a request. */
import type { HeaderLine, ResponseParts } from "./build.ts";
import type { SipRequest } from "./message.ts";
import { reasonPhrase } from "./reason-phrase.ts";

export interface Judge {
  readonly role: "server" | "proxy";
  /** Schemes of a Request-URI that are understood, in lower case. */
  readonly schemes: readonly string[];
  /** Extensions that are supported, by their option tags. */
  readonly extensions: readonly string[];
  /** Of a server: methods that it knows. */
  readonly methods?: readonly string[];
  /** Of a server: media types of bodies, in lower case. */
  readonly contentTypes?: readonly string[];
  /** Of a server: the media type of the body that it answers an INVITE with, in lower case. */
  readonly answers?: string;
}

/** The response to give: `createResponse(request, status, { reason, headers })`. */
export interface Verdict extends ResponseParts {
  readonly status: number;
  readonly reason: string;
  readonly headers: readonly HeaderLine[];
}

function verdict(status: number, ...headers: readonly HeaderLine[]): Verdict {
  return { status, reason: reasonPhrase(status), headers };
}

/** Undefined when nothing is wrong. In the order of the RFC's steps. */
export function judgeRequest(request: SipRequest, judge: Judge): Verdict | undefined {
  return judge.role === "server" ? judgeAsServer(request, judge) : judgeAsProxy(request, judge);
}

function judgeAsServer(request: SipRequest, judge: Judge): Verdict | undefined {
  // RFC 3261 §8.2.1: the method first.
  if (judge.methods !== undefined && !judge.methods.includes(request.method)) {
    return verdict(405, ["Allow", judge.methods.join(", ")]);
  }
  return (
    unknownScheme(request, judge) ??
    unknownExtension(request, "Require", judge) ??
    unknownBody(request, judge) ??
    unreadableAnswer(request, judge)
  );
}

// RFC 3261 §16.3: scheme, Max-Forwards, Proxy-Require.
function judgeAsProxy(request: SipRequest, judge: Judge): Verdict | undefined {
  const scheme = unknownScheme(request, judge);
  if (scheme !== undefined) return scheme;
  if (request.maxForwards === 0) return verdict(483);
  return unknownExtension(request, "Proxy-Require", judge);
}

// RFC 3261 §8.2.2.1 and §16.3 step 2.
function unknownScheme(request: SipRequest, { schemes }: Judge): Verdict | undefined {
  return schemes.includes(request.uri.scheme) ? undefined : verdict(416);
}

// RFC 3261 §8.2.2.3 and §16.3 step 5: each option that is not understood is named.
function unknownExtension(request: SipRequest, header: string, { extensions }: Judge): Verdict | undefined {
  // RFC 3261 §8.2.2.3: nothing is required by an ACK or a CANCEL.
  if (request.method === "ACK" || request.method === "CANCEL") return undefined;
  const unknown = request.list(header).filter((tag) => !extensions.includes(tag.toLowerCase()));
  return unknown.length === 0 ? undefined : verdict(420, ["Unsupported", unknown.join(", ")]);
}

// RFC 3261 §8.2.3
function unknownBody(request: SipRequest, { contentTypes }: Judge): Verdict | undefined {
  if (contentTypes === undefined || request.body === "" || request.method === "ACK") return undefined;
  const isOptional = request.header("content-disposition")?.toLowerCase().includes("handling=optional");
  if (isOptional) return undefined;
  const encoding = request.header("content-encoding");
  if (encoding !== undefined && encoding.toLowerCase() !== "identity")
    return verdict(415, ["Accept-Encoding", "identity"]);
  const type = request.contentType;
  return type !== undefined && contentTypes.includes(type)
    ? undefined
    : verdict(415, ["Accept", contentTypes.join(", ")]);
}

// RFC 3261 §20.1, §21.4.7: who says what it reads is told nothing else; who says nothing reads descriptions.
function unreadableAnswer(request: SipRequest, { answers }: Judge): Verdict | undefined {
  if (answers === undefined || request.method !== "INVITE" || request.header("accept") === undefined) return undefined;
  const ranges = request.list("accept").map((range) => range.split(";", 1)[0]?.trim().toLowerCase());
  const isRead = ["*/*", `${answers.split("/", 1)[0]}/*`, answers].some((range) => ranges.includes(range));
  return isRead ? undefined : verdict(406);
}
