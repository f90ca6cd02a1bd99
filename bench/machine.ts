/** What a benchmark ran on, and where its report is kept. */
import { mkdir, writeFile } from "node:fs/promises";
import { cpus, release } from "node:os";
import { join, relative } from "node:path";

export function machine(): Record<string, string> {
  const processors = cpus();
  return {
    processors: `${processors.length} × ${processors[0]?.model.trim()}`,
    kernel: release(),
    Node: process.version,
  };
}

/** Resolves with the file's name. */
export async function saveReport(report: { readonly when: string }, name = ""): Promise<string> {
  const directory = join(import.meta.dirname, "out");
  const file = join(directory, `${name}${report.when.replaceAll(":", "-")}.json`);
  await mkdir(directory, { recursive: true });
  await writeFile(file, `${JSON.stringify(report, undefined, 1)}\n`);
  return relative(process.cwd(), file);
}
