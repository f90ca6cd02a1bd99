/** Bodies of several parts (RFC 2046 §5.1, RFC 5621): one part is read or replaced, every other byte stays. */
import { MALFORMED, unfolded } from "./characters.ts";
import { parseParams } from "./params.ts";

export interface BodyPart {
  /** The media type in lower case, without its parameters; "text/plain" where none is named. */
  readonly contentType: string;
  readonly text: string;
  /** Where `text` lies in the whole body. */
  readonly at: number;
  readonly end: number;
}

/** More parts than this are no call's. */
const MAX_PARTS = 16;

/** Of a Content-Type's value. */
function boundaryOf(contentType: string): string | undefined {
  const semicolon = contentType.indexOf(";");
  if (semicolon < 0 || !contentType.slice(0, semicolon).trim().toLowerCase().startsWith("multipart/")) return undefined;
  const params = parseParams(contentType, semicolon, contentType.length);
  const boundary = params === MALFORMED ? undefined : params.get("boundary");
  return boundary === undefined || boundary === "" || boundary.length > 70 ? undefined : boundary;
}

/** Where the first delimiter line begins, the line break before it included. */
function firstDelimiter(body: string, delimiter: string): number {
  const bare = delimiter.slice(2);
  return body.startsWith(bare) && isLineOf(body, bare.length) ? 0 : nextDelimiter(body, delimiter, 0);
}

function nextDelimiter(body: string, delimiter: string, from: number): number {
  let at = body.indexOf(delimiter, from);
  while (at >= 0 && !isLineOf(body, at + delimiter.length)) at = body.indexOf(delimiter, at + 1);
  return at;
}

// RFC 2046 §5.1.1: behind a boundary there are two hyphens, or nothing but white space up to the line's end.
function isLineOf(body: string, at: number): boolean {
  if (body.startsWith("--", at)) return true;
  let i = at;
  while (body.charCodeAt(i) === 0x20 || body.charCodeAt(i) === 0x09) i++;
  return body.startsWith("\r\n", i);
}

function partBetween(body: string, from: number, end: number): BodyPart | undefined {
  if (body.startsWith("\r\n", from) && from + 2 <= end)
    return { contentType: "text/plain", text: body.slice(from + 2, end), at: from + 2, end };
  const headersEnd = body.indexOf("\r\n\r\n", from);
  if (headersEnd < 0 || headersEnd + 4 > end) return undefined;
  const at = headersEnd + 4;
  return { contentType: typeOf(body.slice(from, headersEnd)), text: body.slice(at, end), at, end };
}

function typeOf(headers: string): string {
  for (const line of unfolded(headers.replaceAll(/\r\n(?![ \t])/g, "\n")).split("\n")) {
    const colon = line.indexOf(":");
    if (line.slice(0, colon).trim().toLowerCase() === "content-type") {
      return (line.slice(colon + 1).split(";", 1)[0] as string).trim().toLowerCase();
    }
  }
  return "text/plain";
}

/** The parts of a body with this Content-Type; a body that is not of several parts is one part. */
export function bodyParts(body: string, contentType: string): readonly BodyPart[] {
  const boundary = boundaryOf(contentType);
  if (boundary === undefined) {
    const type = (contentType.split(";", 1)[0] as string).trim().toLowerCase();
    return [{ contentType: type, text: body, at: 0, end: body.length }];
  }
  const delimiter = `\r\n--${boundary}`;
  const parts: BodyPart[] = [];
  let at = firstDelimiter(body, delimiter);
  while (at >= 0 && parts.length < MAX_PARTS) {
    const lineEnd = body.indexOf("\r\n", at === 0 ? at : at + 2);
    const next = lineEnd < 0 ? -1 : nextDelimiter(body, delimiter, lineEnd);
    if (next < 0) break;
    const part = partBetween(body, lineEnd + 2, next);
    if (part !== undefined) parts.push(part);
    at = body.startsWith("--", next + delimiter.length) ? -1 : next;
  }
  return parts;
}

/** The body with `text` in this part's place. */
export function withPart(body: string, part: BodyPart, text: string): string {
  return body.slice(0, part.at) + text + body.slice(part.end);
}
