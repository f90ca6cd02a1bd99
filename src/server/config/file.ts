/** Options from the YAML file, each with its line and column. */
import { readFileSync, statSync } from "node:fs";
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { PosternError } from "../../core/base/failure.ts";
import type { OptionName } from "./config.ts";
import type { Given, Problem } from "./given.ts";
import { fileKey, optionNames } from "./names.ts";
import { nearest } from "./nearest.ts";

/** A name may be wrong by this many letters and still be recognised. */
const typos = 4;

interface Reading {
  readonly given: Given[];
  readonly problems: Problem[];
}

/** Throws `PosternError` `config-unreadable` when the file cannot be read. */
export function readConfigFile(path: string): Reading {
  let text: string;
  let mode: number;
  try {
    text = readFileSync(path, "utf8");
    ({ mode } = statSync(path));
  } catch (cause) {
    throw unreadable(cause as Error);
  }
  const reading = parseConfig(text, path);
  const secret = reading.given.find(({ option }) => option === "sharedSecrets");
  if (secret !== undefined && (mode & 0o007) !== 0) {
    const sentence = `everybody may read the secrets here: run chmod o= ${path}, or use shared-secret-files`;
    reading.problems.push({ where: secret.where(), sentence });
  }
  return reading;
}

function unreadable(cause: Error): PosternError {
  return new PosternError("config-unreadable", `The configuration file cannot be read: ${cause.message}.`, { cause });
}

/** `path` is named in complaints. */
export function parseConfig(text: string, path: string): Reading {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${line}:${col}`;
  };
  const placeOf = (node: Node | null | undefined, otherwise: number) => at(node?.range?.[0] ?? otherwise);
  const problems: Problem[] = document.errors.map((error) => ({
    where: at(error.pos[0]),
    sentence: `not YAML: ${error.message.split(" at line ")[0]}`,
  }));
  const given: Given[] = [];
  const { contents } = document;
  if (problems.length > 0 || contents === null) return { given, problems };
  if (!isMap(contents)) {
    problems.push({ where: placeOf(contents, 0), sentence: "the file must hold lines of the form `option: value`" });
    return { given, problems };
  }
  const byKey = new Map<string, OptionName>(optionNames.map((name) => [fileKey(name), name]));
  for (const { key, value } of contents.items as { key: Node; value: Node | null }[]) {
    const name = isScalar(key) ? String(key.value) : String(key);
    const start = key.range?.[0] ?? 0;
    const option = byKey.get(name);
    if (option === undefined) {
      const meant = nearest(name, [...byKey.keys()], typos);
      const hint = meant === undefined ? "remove it, or see docs/configuration.md" : `did you mean ${meant}?`;
      problems.push({ where: at(start), sentence: `${name} is no option; ${hint}` });
      continue;
    }
    const raw = plainValue(value);
    if (raw === undefined) {
      const sentence = `${name} needs a value or a list of values; remove the line for the default`;
      problems.push({ where: placeOf(value, start), sentence });
      continue;
    }
    const items = isSeq(value) ? (value.items as Node[]) : [];
    given.push({ option, raw, where: (item) => placeOf(item === undefined ? value : items[item], start) });
  }
  return { given, problems };
}

/** Text, boolean or a list of text; undefined for anything else. Numbers stay as they are written. */
function plainValue(node: Node | null): unknown {
  if (isSeq(node)) {
    const items = node.items.map((item) => plainValue(item as Node));
    return items.every((item) => typeof item === "string") ? items : undefined;
  }
  if (!isScalar(node) || isAlias(node) || node.value === null) return undefined;
  return typeof node.value === "boolean" || typeof node.value === "string" ? node.value : node.source;
}
