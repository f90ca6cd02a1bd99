/** Parameters behind a semicolon: of headers, with space and quoted strings, and of URIs, without. */
import {
  MALFORMED,
  type Malformed,
  PARAM_VALUE,
  quotedEnd,
  runEnd,
  skipSpace,
  TOKEN,
  URI_PARAM,
  unfolded,
  unquoted,
} from "./characters.ts";

export interface Param {
  /** In lower case. */
  readonly name: string;
  /** As it was written, quotes included; undefined where there is no "=". */
  readonly text: string | undefined;
  /** Where it lies in the text that was parsed: from its name to behind its value. */
  readonly at: number;
  readonly end: number;
}

/** More than any honest header or URI has; it also bounds the search for one that comes twice. */
const MAX_PARAMS = 64;

export class Params implements Iterable<Param> {
  readonly #list: readonly Param[];
  /** Behind them in the text that was parsed. */
  readonly end: number;

  constructor(list: readonly Param[], end: number) {
    this.#list = list;
    this.end = end;
  }

  get size(): number {
    return this.#list.length;
  }

  /** `name` in lower case. */
  find(name: string): Param | undefined {
    for (const param of this.#list) if (param.name === name) return param;
    return undefined;
  }

  has(name: string): boolean {
    return this.find(name) !== undefined;
  }

  /** The value without its quotes, "" where there is a name alone. */
  get(name: string): string | undefined {
    const param = this.find(name);
    return param && (param.text === undefined ? "" : unquoted(unfolded(param.text)));
  }

  [Symbol.iterator](): Iterator<Param> {
    return this.#list[Symbol.iterator]();
  }

  /** As they stand behind a header's value or in a URI. */
  toString(): string {
    let out = "";
    for (const { name, text } of this.#list) out += text === undefined ? `;${name}` : `;${name}=${text}`;
    return out;
  }
}

const NONE: readonly Param[] = [];
export const NO_PARAMS: Params = new Params(NONE, 0);

// RFC 3261 §7.3.1: "any given parameter-name MUST NOT appear more than once": two readers could take different ones.
function isRepeated(list: readonly Param[], name: string): boolean {
  for (const param of list) if (param.name === name) return true;
  return false;
}

/** An array that grows has room for sixteen; few have more than three, and all are of every message. */
function withParam(list: readonly Param[], param: Param): readonly Param[] {
  return list.length === 0 ? [param] : [...list, param];
}

/** From `at`, where a semicolon or space before one may be, to what is no parameter. */
export function parseParams(text: string, at: number, end: number): Params | Malformed {
  let list = NONE;
  let i = at;
  for (;;) {
    const semicolon = skipSpace(text, i, end);
    if (semicolon >= end || text.charCodeAt(semicolon) !== 0x3b) break;
    const nameAt = skipSpace(text, semicolon + 1, end);
    i = runEnd(text, nameAt, end, TOKEN);
    if (i === nameAt) return MALFORMED;
    const name = text.slice(nameAt, i).toLowerCase();
    let value: string | undefined;
    const equals = skipSpace(text, i, end);
    if (equals < end && text.charCodeAt(equals) === 0x3d) {
      const valueAt = skipSpace(text, equals + 1, end);
      i = text.charCodeAt(valueAt) === 0x22 ? quotedEnd(text, valueAt, end) : runEnd(text, valueAt, end, PARAM_VALUE);
      if (i <= valueAt) return MALFORMED;
      value = text.slice(valueAt, i);
    }
    if (list.length === MAX_PARAMS || isRepeated(list, name)) return MALFORMED;
    list = withParam(list, { name, text: value, at: nameAt, end: i });
  }
  return new Params(list, i);
}

/** RFC 3261 §19.1.1: from the first semicolon to "?" or the end. */
export function parseUriParams(text: string, at: number, end: number): Params | Malformed {
  let list = NONE;
  let i = at;
  while (i < end && text.charCodeAt(i) === 0x3b) {
    const nameAt = i + 1;
    i = runEnd(text, nameAt, end, URI_PARAM);
    if (i === nameAt) return MALFORMED;
    const name = text.slice(nameAt, i).toLowerCase();
    let value: string | undefined;
    if (i < end && text.charCodeAt(i) === 0x3d) {
      const valueAt = i + 1;
      i = runEnd(text, valueAt, end, URI_PARAM);
      if (i === valueAt) return MALFORMED;
      value = text.slice(valueAt, i);
    }
    if (list.length === MAX_PARAMS || isRepeated(list, name)) return MALFORMED;
    list = withParam(list, { name, text: value, at: nameAt, end: i });
  }
  return new Params(list, i);
}
