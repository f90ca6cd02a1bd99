/** Puts the tables of a report into docs/performance.md, between two marks. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const page = join(import.meta.dirname, "..", "docs", "performance.md");

export async function documentReport(
  tables: string,
  mark: "bench" | "bench ice" | "bench overload" | "bench sip" = "bench",
): Promise<void> {
  const marks = new RegExp(`(<!-- ${mark} -->)[\\s\\S]*(<!-- /${mark} -->)`);
  const text = await readFile(page, "utf8");
  if (!marks.test(text))
    throw new Error(`docs/performance.md has lost its marks: <!-- ${mark} --> and <!-- /${mark} -->`);
  await writeFile(
    page,
    text.replace(marks, (_, begin, end) => `${begin}\n${tables}\n${end}`),
  );
}
