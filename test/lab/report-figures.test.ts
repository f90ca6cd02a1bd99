/** The page of why calls fail: its figures are those that their tool draws, and its links lead somewhere. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { drawFigures } from "../../tools/figures.ts";

const docs = join(import.meta.dirname, "../../docs");

for (const [name, svg] of drawFigures()) {
  test(`docs/images/${name} is current (else: node tools/figures.ts)`, async () => {
    assert.equal(await readFile(join(docs, "images", name), "utf8"), svg);
  });
}

test("every link of docs/why-did-my-call-fail.md leads somewhere", async () => {
  const page = await readFile(join(docs, "why-did-my-call-fail.md"), "utf8");
  const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    (heading as string)
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
  const links = [...page.matchAll(/\]\(([^)#]*)(?:#([^)]*))?\)/g)];
  assert.ok(links.length > 20);
  for (const [, file, anchor] of links) {
    if (file) assert.ok(existsSync(join(docs, file)), file);
    else assert.ok(headings.includes(anchor as string), anchor);
  }
});
