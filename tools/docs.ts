/**
 * Writes the documentation that is generated from the sources. With `--check` it writes nothing, and fails when a page
 * is not what the sources say.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { reference } from "../src/server/config/reference.ts";
import { rfcPage } from "./rfc.ts";

const root = join(import.meta.dirname, "..");
const pages: Readonly<Record<string, () => string>> = {
  "docs/configuration.md": reference,
  "docs/rfc/README.md": () => rfcPage(root),
};

function current(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

for (const [path, generate] of Object.entries(pages)) {
  const file = join(root, path);
  const text = generate();
  if (current(file) === text) continue;
  if (process.argv.includes("--check")) {
    console.error(`${path} is not current: run \`npm run docs\` and commit it.`);
    process.exitCode = 1;
  } else {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}
