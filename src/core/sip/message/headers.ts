/** The fields of a message in their order, and the edits that leave every other field byte for byte as it came. */
import { PosternError } from "../../base/failure.ts";
import { isAll, MALFORMED, type Malformed, TOKEN } from "./characters.ts";
import { type HeaderField, headerField, parseList, splitList } from "./header-field.ts";
import { canonicalName } from "./header-names.ts";
import { type NameAddress, parseNameAddress } from "./name-address.ts";
import { parseVia, type Via } from "./via.ts";

export const readVias = (field: HeaderField): readonly Via[] | Malformed => parseList(field, parseVia);
export const readAddresses = (field: HeaderField): readonly NameAddress[] | Malformed =>
  parseList(field, parseNameAddress);

export class Headers {
  #fields: HeaderField[];

  constructor(fields: HeaderField[]) {
    this.#fields = fields;
  }

  get fields(): readonly HeaderField[] {
    return this.#fields;
  }

  copy(): Headers {
    return new Headers(this.#fields.slice());
  }

  /** `name`: long, in lower case. */
  field(name: string): HeaderField | undefined {
    for (const field of this.#fields) if (field.name === name) return field;
    return undefined;
  }

  /** The first field's value; undefined when there is none. */
  value(name: string): string | undefined {
    return this.field(canonicalName(name))?.value;
  }

  /** The value of every field of this name. */
  values(name: string): string[] {
    const canonical = canonicalName(name);
    const values: string[] = [];
    for (const field of this.#fields) if (field.name === canonical) values.push(field.value);
    return values;
  }

  /** The elements of all fields of this name, where a comma is between elements. */
  list(name: string): string[] {
    const canonical = canonicalName(name);
    const elements: string[] = [];
    for (const field of this.#fields) if (field.name === canonical) elements.push(...splitList(field));
    return elements;
  }

  /** Those of all fields of this name, parsed. */
  elements<T>(name: string, read: (field: HeaderField) => readonly T[] | Malformed): readonly T[] | Malformed {
    let all: readonly T[] | undefined;
    for (const field of this.#fields) {
      if (field.name !== name) continue;
      const some = field.parsed(read);
      if (some === MALFORMED) return MALFORMED;
      all = all === undefined ? some : [...all, ...some];
    }
    return all ?? [];
  }

  /** The same as one text again, fields that were not touched by the piece. */
  format(): string {
    let out = "";
    let source = "";
    let [at, end] = [0, 0];
    for (const field of this.#fields) {
      if (field.source === source && field.at === end) {
        end = field.end;
        continue;
      }
      out += source.slice(at, end);
      ({ source, at, end } = field);
    }
    return out + source.slice(at, end);
  }

  /** In place of the first field of this name, others of it gone; behind all where there is none. */
  set(name: string, value: string): void {
    const field = checkedField(name, value);
    const at = this.#fields.findIndex((other) => other.name === field.name);
    if (at < 0) {
      this.#fields.push(field);
      return;
    }
    this.#fields[at] = field;
    this.#fields = this.#fields.filter((other, i) => i <= at || other.name !== field.name);
  }

  /** Behind the last field of this name, or behind all. */
  append(name: string, value: string): void {
    const field = checkedField(name, value);
    const last = this.#fields.findLastIndex((other) => other.name === field.name);
    this.#fields.splice(last < 0 ? this.#fields.length : last + 1, 0, field);
  }

  /** Before the first field of this name, or before all. */
  prepend(name: string, value: string): void {
    const field = checkedField(name, value);
    const first = this.#fields.findIndex((other) => other.name === field.name);
    this.#fields.splice(Math.max(0, first), 0, field);
  }

  remove(name: string): void {
    const canonical = canonicalName(name);
    this.#fields = this.#fields.filter((field) => field.name !== canonical);
  }

  /** That field, and no other of its name. */
  delete(field: HeaderField): void {
    this.#fields = this.#fields.filter((other) => other !== field);
  }

  replace(old: HeaderField, field: HeaderField): void {
    this.#fields[this.#fields.indexOf(old)] = field;
  }

  /** Takes the first element of the first field of this name away. */
  shift<T extends { readonly at: number; readonly end: number }>(
    name: string,
    read: (field: HeaderField) => readonly T[] | Malformed,
  ): T | undefined {
    const field = this.field(name);
    const elements = field?.parsed(read);
    if (field === undefined || elements === undefined || elements === MALFORMED) return undefined;
    const [first, second] = elements;
    if (second === undefined) this.#fields.splice(this.#fields.indexOf(field), 1);
    else this.replace(field, field.spliced((first as T).at, second.at, ""));
    return first;
  }
}

function checkedField(name: string, value: string): HeaderField {
  if (!isAll(name, TOKEN) || value.includes("\n") || value.includes("\r")) {
    throw new PosternError(
      "bad-header",
      `The header field ${JSON.stringify(name)} needs a name that is a token and a value on one line.`,
    );
  }
  return headerField(name, value);
}
