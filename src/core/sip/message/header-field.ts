/** One field of a message: a part of some text, read when it is asked for. Fields never change; edits replace them. */
import { MALFORMED, type Malformed, quotedEnd, skipSpace, trimEnd, unfolded } from "./characters.ts";
import { canonicalName } from "./header-names.ts";

/** A text in place of what lies between two places of a field's source. */
export interface Edit {
  readonly at: number;
  readonly end: number;
  readonly text: string;
}

export class HeaderField {
  /** The long name in lower case. */
  readonly name: string;
  /** What it lies in: the message that came, or a line of our own. */
  readonly source: string;
  /** Where it lies, its line break included. */
  readonly at: number;
  readonly end: number;
  /** Where its value lies, without the space around it. */
  readonly valueAt: number;
  readonly valueEnd: number;
  #parsed: unknown;

  constructor(name: string, source: string, at: number, colon: number, end: number) {
    this.name = name;
    this.source = source;
    this.at = at;
    this.end = end;
    const valueAt = skipSpace(source, colon + 1, end);
    this.valueAt = valueAt;
    this.valueEnd = trimEnd(source, valueAt, end);
  }

  /** Its value on one line. */
  get value(): string {
    return unfolded(this.source.slice(this.valueAt, this.valueEnd));
  }

  /** What `read` makes of it: once, because each name of a field has one reader. */
  parsed<T>(read: (field: HeaderField) => T): T {
    this.#parsed ??= read(this);
    return this.#parsed as T;
  }

  /** The same with `text` in place of what lies between two places. */
  spliced(at: number, end: number, text: string): HeaderField {
    return this.edited([{ at, end, text }]);
  }

  /** The same with several of its places changed, of which none covers another. Those at one place stay in their order. */
  edited(edits: Edit[]): HeaderField {
    const { source } = this;
    let line = "";
    let from = this.at;
    for (const { at, end, text } of inOrder(edits)) {
      line += source.slice(from, at) + text;
      from = end;
    }
    line += source.slice(from, this.end);
    return new HeaderField(this.name, line, 0, source.indexOf(":", this.at) - this.at, line.length);
  }
}

function inOrder(edits: Edit[]): Edit[] {
  const isSorted = edits.every(({ at }, i) => i === 0 || (edits[i - 1] as Edit).at <= at);
  return isSorted ? edits : edits.sort((a, b) => a.at - b.at);
}

export function headerField(name: string, value: string): HeaderField {
  const line = `${name}: ${value}\r\n`;
  return new HeaderField(canonicalName(name), line, 0, name.length, line.length);
}

/** Elements between commas, none of which may be empty. */
export function parseList<T extends { readonly end: number }>(
  { source, valueAt, valueEnd }: HeaderField,
  parse: (text: string, at: number, end: number) => T | Malformed,
): readonly T[] | Malformed {
  let list: T[] | undefined;
  for (let at = valueAt; ; ) {
    const element = parse(source, at, valueEnd);
    if (element === MALFORMED) return MALFORMED;
    // Nearly all have one alone; an array that grows has room for sixteen.
    if (list === undefined) list = [element];
    else list.push(element);
    const comma = skipSpace(source, element.end, valueEnd);
    if (comma >= valueEnd) return list;
    if (source.charCodeAt(comma) !== 0x2c) return MALFORMED;
    at = skipSpace(source, comma + 1, valueEnd);
  }
}

/** The elements between commas as text, empty ones left out; commas in quotes and in angle brackets do not count. */
export function splitList({ source, valueAt, valueEnd }: HeaderField): readonly string[] {
  const list: string[] = [];
  const add = (from: number, to: number): void => {
    const at = skipSpace(source, from, to);
    if (at < to) list.push(unfolded(source.slice(at, trimEnd(source, at, to))));
  };
  let from = valueAt;
  let isBracketed = false;
  for (let i = valueAt; i < valueEnd; i++) {
    const code = source.charCodeAt(i);
    if (code === 0x22 && !isBracketed) {
      const end = quotedEnd(source, i, valueEnd);
      if (end < 0) break;
      i = end - 1;
    } else if (code === 0x3c) isBracketed = true;
    else if (code === 0x3e) isBracketed = false;
    else if (code === 0x2c && !isBracketed) {
      add(from, i);
      from = i + 1;
    }
  }
  add(from, valueEnd);
  return list;
}
