/** Puts the tables of a report into docs/performance.md, between its two marks. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const page = join(import.meta.dirname, "..", "docs", "performance.md");
const marks = /(<!-- bench -->)[\s\S]*(<!-- \/bench -->)/;

export async function documentReport(tables: string): Promise<void> {
  const text = await readFile(page, "utf8");
  if (!marks.test(text)) throw new Error("docs/performance.md has lost its marks: <!-- bench --> and <!-- /bench -->");
  await writeFile(
    page,
    text.replace(marks, (_, begin, end) => `${begin}\n${tables}\n${end}`),
  );
}
