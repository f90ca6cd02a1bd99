/**
 * Writes docs/configuration.md from the schema of the options; `--check` says whether it is current instead.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { reference } from "../src/server/config/reference.ts";

const target = join(import.meta.dirname, "..", "docs/configuration.md");

function written(): string {
  try {
    return readFileSync(target, "utf8");
  } catch {
    return "";
  }
}

if (!process.argv.includes("--check")) writeFileSync(target, reference());
else if (written() !== reference()) {
  console.error("docs/configuration.md is not current: run `npm run docs` and commit it.");
  process.exitCode = 1;
}
