/**
 * One part of a session description: the session itself, or a media description with its m= line. It is a list of lines
 * that are kept as they came, unknown and repeated ones too; what is not edited leaves byte for byte as it arrived.
 */

export interface SdpLine {
  /** The letter in front of `=`; "" for what is no line of SDP, which `value` then holds whole. */
  readonly type: string;
  readonly value: string;
  /** How the line ended: CR LF, LF, or "" where the text ended first. */
  readonly end: string;
  /** Of an attribute: what stands in front of the colon. White space around it, which some phones send, is none of it. */
  readonly name: string | undefined;
}

export function sdpLine(type: string, value: string, end: string): SdpLine {
  return { type, value, end, name: type === "a" ? nameIn(value) : undefined };
}

function nameIn(value: string): string {
  const colon = value.indexOf(":");
  return (colon < 0 ? value : value.slice(0, colon)).trim();
}

/** RFC 8866 §5: the order of lines. A session has no m=, a media description begins with it. */
const ORDER = "mvosiuepcbtrzka";

export class SdpSection {
  #lines: SdpLine[];
  readonly #newline: string;

  /** `newline`: how lines that are added end. */
  constructor(lines: SdpLine[], newline: string) {
    this.#lines = lines;
    this.#newline = newline;
  }

  get lines(): readonly SdpLine[] {
    return this.#lines;
  }

  /** To be edited alone. */
  copy(): SdpSection {
    return new SdpSection(this.#lines.slice(), this.#newline);
  }

  /** The first line of a type. */
  value(type: string): string | undefined {
    return this.#lines.find((line) => line.type === type)?.value;
  }

  values(type: string): string[] {
    return this.#lines.filter((line) => line.type === type).map((line) => line.value);
  }

  /** The value of the first attribute of this name; "" for a=name alone. */
  attribute(name: string): string | undefined {
    for (const line of this.#lines) if (line.name === name) return attributeValue(line);
    return undefined;
  }

  attributes(name: string): string[] {
    return this.#lines.filter((line) => line.name === name).map(attributeValue);
  }

  has(name: string): boolean {
    return this.attribute(name) !== undefined;
  }

  /** Replaces the value of every line of a type by what `change` makes of it. */
  replace(type: string, change: (value: string) => string): void {
    for (const [at, line] of this.#lines.entries()) {
      if (line.type === type) this.#lines[at] = sdpLine(type, change(line.value), line.end);
    }
  }

  /** Sets the first line of a type; where there is none, one is added in its place. */
  set(type: string, value: string): void {
    const at = this.#lines.findIndex((line) => line.type === type);
    if (at < 0) this.#insert(type, value);
    else this.#lines[at] = sdpLine(type, value, (this.#lines[at] as SdpLine).end);
  }

  /** Sets the first attribute of this name, or adds it. */
  setAttribute(name: string, value: string): void {
    const text = value === "" ? name : `${name}:${value}`;
    const at = this.#lines.findIndex((line) => line.name === name);
    if (at < 0) this.#insert("a", text);
    else this.#lines[at] = sdpLine("a", text, (this.#lines[at] as SdpLine).end);
  }

  addAttribute(name: string, value = ""): void {
    this.#insert("a", value === "" ? name : `${name}:${value}`);
  }

  /** Removes the attributes whose names `isMeant`. */
  removeAttributes(isMeant: (name: string, value: string) => boolean): void {
    this.#lines = this.#lines.filter((line) => line.name === undefined || !isMeant(line.name, attributeValue(line)));
  }

  #insert(type: string, value: string): void {
    const rank = ORDER.indexOf(type);
    let at = 0;
    for (const [index, line] of this.#lines.entries()) {
      if (line.type !== "" && ORDER.indexOf(line.type) <= rank) at = index + 1;
    }
    const before = this.#lines[at - 1];
    // A text that broke off has no line end for the new line to follow.
    if (before?.end === "") this.#lines[at - 1] = { ...before, end: this.#newline };
    this.#lines.splice(at, 0, sdpLine(type, value, this.#newline));
  }
}

function attributeValue({ value }: SdpLine): string {
  const colon = value.indexOf(":");
  return colon < 0 ? "" : value.slice(colon + 1).trim();
}
