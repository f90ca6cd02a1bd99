/** The figures of the documentation are those that their tool draws. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { drawFigures } from "../../tools/figures.ts";

const root = join(import.meta.dirname, "../..");

for (const [name, svg] of drawFigures()) {
  test(`docs/images/${name} is current (else: node tools/figures.ts)`, async () => {
    assert.equal(await readFile(join(root, "docs/images", name), "utf8"), svg);
  });
}
