/**
 * The kinds of values that options have. A kind reads what YAML, the environment or a flag gives, says in a sentence
 * what it would have taken instead, and writes a value back as the file would hold it.
 */
import { z } from "zod";

export interface Kind<T> {
  /** Takes text, a number, a boolean, or a list of these. Messages complete the sentence "<option> …". */
  readonly type: z.ZodType<T>;
  /** How a value is written, for the reference and `--help`. */
  readonly form: string;
  readonly format: (value: T) => string | boolean | readonly string[];
  /** A flag of this kind may be repeated, and the environment separates items by commas. */
  readonly isList?: boolean;
  /** A flag of this kind may stand without a value. */
  readonly isSwitch?: boolean;
}

/** A value written as one piece of text. `rule` completes "must be …". */
export function scalar<T>(
  form: string,
  rule: string,
  read: (text: string) => T | undefined,
  format: (value: T) => string = String,
): Kind<T> {
  const single = z.union([z.string(), z.number(), z.boolean()], { error: `must be one value: ${rule}` });
  const type = single.transform((raw, context) => {
    const value = read(String(raw).trim());
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: `must be ${rule}, and is not "${clip(String(raw))}"` });
    return z.NEVER;
  });
  return { type, form, format };
}

function clip(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** Whatever `item` takes, or nothing: undefined unless it is given. */
export function optional<T>(item: Kind<T>): Kind<T | undefined> {
  const { type, form, isSwitch = false } = item;
  return { type, form, isSwitch, format: (value) => (value === undefined ? "" : item.format(value)) as string };
}

/** The word `off`, which gives undefined, or whatever `item` takes. */
export function orOff<T>(item: Kind<T>): Kind<T | undefined> {
  return orWord("off", item, ["off", false]);
}

/** The same of the word `auto`. */
export function orAuto<T>(item: Kind<T>): Kind<T | undefined> {
  return orWord("auto", item, ["auto"]);
}

function orWord<T>(word: string, item: Kind<T>, written: readonly unknown[]): Kind<T | undefined> {
  return {
    type: z.unknown().transform((raw, context) => {
      if (written.includes(raw)) return undefined;
      const result = item.type.safeParse(raw);
      if (result.success) return result.data;
      for (const { message } of result.error.issues)
        context.addIssue(message.replace(/^must be /, `must be "${word}" or `));
      return z.NEVER;
    }),
    form: `${item.form}|${word}`,
    format: (value) => (value === undefined ? word : item.format(value)),
  };
}

export function list<T>(
  item: Kind<T>,
  { separator = "," }: { separator?: string | RegExp | undefined } = {},
): Kind<readonly T[]> {
  const split = (raw: unknown) => (typeof raw === "string" && separator !== "" ? raw.split(separator) : [raw]);
  const items = (raw: unknown) => (Array.isArray(raw) ? raw : [raw]).flatMap(split).filter((one) => one !== "");
  return {
    type: z.preprocess(items, z.array(item.type)),
    form: `${item.form},…`,
    format: (value) => value.map((one) => String(item.format(one))),
    isList: true,
  };
}

/** Text that is hidden wherever it is printed: complaints do not repeat it. */
export function hidden<T>(form: string, rule: string, read: (text: string) => T | undefined): Kind<T> {
  const type = z.string({ error: `must be ${rule}` }).transform((raw, context) => {
    const value = read(raw);
    if (value !== undefined) return value;
    context.addIssue(`must be ${rule}`);
    return z.NEVER;
  });
  return { type, form, format: () => "[secret]" };
}

export function choice<const T extends string>(...of: readonly T[]): Kind<T> {
  return scalar(of.join("|"), `one of ${of.join(", ")}`, (text) => of.find((one) => one === text));
}

const yes: readonly string[] = ["true", "yes", "on"];
const no: readonly string[] = ["false", "no", "off"];

export function toggle(): Kind<boolean> {
  const read = (text: string) => (yes.includes(text) ? true : no.includes(text) ? false : undefined);
  return { ...scalar("true|false", "true or false", read), format: (value) => value, isSwitch: true };
}

function wholeNumber(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}

export function count(min: number, max: number): Kind<number> {
  const within = (n: number) => (n >= min && n <= max ? n : undefined);
  return scalar("NUMBER", `a whole number from ${min} to ${max}`, (text) => within(wholeNumber(text)));
}

export function port(): Kind<number> {
  return { ...count(1, 65_535), form: "PORT" };
}

export interface PortSpan {
  readonly min: number;
  readonly max: number;
}

/** Two ports, inclusive. */
export function portSpan(): Kind<PortSpan> {
  return scalar(
    "MIN-MAX",
    "two ports from 1 to 65535, the lower one first, such as 49152-65535",
    (text) => {
      const [min = Number.NaN, max = Number.NaN, ...more] = text.split("-").map((one) => wholeNumber(one.trim()));
      return min >= 1 && max <= 65_535 && min <= max && more.length === 0 ? { min, max } : undefined;
    },
    ({ min, max }) => `${min}-${max}`,
  );
}

const secondsIn = { d: 86_400, h: 3_600, m: 60, s: 1 } as const;

/** Seconds in `90`, `90s`, `10m`, `12h`, `7d`; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9})(s|m|h|d)?$/.exec(text);
  return match === null ? undefined : Number(match[1]) * secondsIn[(match[2] ?? "s") as keyof typeof secondsIn];
}

/** In the largest unit that needs no fraction. */
export function formatDuration(seconds: number): string {
  for (const [unit, length] of Object.entries(secondsIn)) {
    if (seconds >= length && seconds % length === 0) return `${seconds / length}${unit}`;
  }
  return `${seconds}s`;
}

/** A time in whole seconds. */
export function duration(min: number, max: number): Kind<number> {
  const rule = `a time from ${formatDuration(min)} to ${formatDuration(max)}, such as 90s, 10m, 12h or 7d`;
  const read = (text: string) => {
    const seconds = parseDuration(text);
    return seconds !== undefined && seconds >= min && seconds <= max ? seconds : undefined;
  };
  return scalar("DURATION", rule, read, formatDuration);
}

const factors = { k: 1e3, M: 1e6, G: 1e9 } as const;

/** A number of bytes, with a decimal unit or none. */
export function byteCount(max: number): Kind<number> {
  const read = (text: string) => {
    const match = /^(\d{1,12})(k|M|G)?$/.exec(text);
    if (match === null) return undefined;
    const bytes = Number(match[1]) * (match[2] === undefined ? 1 : factors[match[2] as keyof typeof factors]);
    return bytes <= max ? bytes : undefined;
  };
  const format = (bytes: number) => {
    const [unit, factor] = Object.entries(factors).findLast(([, f]) => bytes >= f && bytes % f === 0) ?? ["", 1];
    return `${bytes / factor}${unit}`;
  };
  return scalar("BYTES", "a number of bytes, such as 800k or 12M", read, format);
}

export function path(): Kind<string> {
  return scalar("FILE", "a path", (text) => (text === "" ? undefined : text));
}
