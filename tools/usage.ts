/** Help of the repository's programs: the comment that each begins with. */
import { readFileSync } from "node:fs";

/** Prints the first comment of the file `program` and ends, where `--help` was asked for. */
export function helpIfAsked(program: string): void {
  if (!process.argv.includes("--help")) return;
  const [, comment = ""] = /^\/\*\*\n(.*?)\n \*\/$/ms.exec(readFileSync(program, "utf8")) ?? [];
  console.log(comment.replaceAll(/^ \* ?/gm, "").replaceAll("*\\/", "*/"));
  process.exit();
}
