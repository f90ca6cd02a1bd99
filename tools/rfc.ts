/**
 * What docs/rfc/README.md holds: which clauses of which RFC the code implements, where, and which tests name them; and apart
 * from these, where the code departs from an RFC on purpose. Citations are comments of one form, on the guard that
 * implements the clause, and run on over the comment lines below:
 *
 *   // RFC 8656 §7.2: a second Allocate on the 5-tuple is 437 unless it is a retransmission.
 *   // DEVIATES RFC 8445 §6.1.2.6: why.
 *
 * A clause named in passing counts as mentioned.
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface Citation {
  readonly rfc: number;
  readonly section: string;
  /** What the code says the clause asks for; undefined where it is only mentioned. */
  readonly text: string | undefined;
  readonly deviates: boolean;
  readonly file: string;
}

const clauses = String.raw`RFC \d{3,5} §\w[\w.]*(?:(?:,| and|, and) (?:RFC \d{3,5} )?§\w[\w.]*)*`;
const citation = new RegExp(String.raw`(?:^\s*(?:\/\/|\/?\*+)|\s\/\/) (DEVIATES )?(${clauses})([^:.;()]*): (.+)$`);
const mention = new RegExp(clauses, "g");
const comment = /^\s*(?:\/\/|\/?\*+)/;

/** The clauses in "RFC 8489 §14.5, §14.6 and RFC 8656 §5". */
function named(list: string): { rfc: number; section: string }[] {
  let rfc = 0;
  return [...list.matchAll(/RFC (\d+)|§(\w[\w.]*)/g)].flatMap(([, number, section]) => {
    if (number !== undefined) rfc = Number(number);
    return section === undefined ? [] : [{ rfc, section: section.replace(/\.$/, "") }];
  });
}

function words(line: string): string {
  return line
    .replace(/\*\/\s*$/, "")
    .replace(comment, "")
    .trim();
}

/** Every citation and mention in one source text, in order. */
export function citations(file: string, source: string): Citation[] {
  const lines = source.split("\n");
  return lines.flatMap((line, at): Citation[] => {
    const match = citation.exec(line);
    if (match === null) {
      return [...line.matchAll(mention)]
        .flatMap(([list]) => named(list))
        .map((clause) => ({ ...clause, text: undefined, deviates: false, file }));
    }
    const [, deviates, list, aside, first] = match as unknown as [string, string | undefined, string, string, string];
    const text = [`${aside.trim()} ${words(first)}`.trim()];
    for (let next = at + 1; comment.test(line) && !line.includes("*/"); next++) {
      const more = lines[next] ?? "";
      if (!comment.test(more) || citation.test(more) || words(more) === "" || words(more).startsWith("@")) break;
      text.push(words(more));
      if (more.includes("*/")) break;
    }
    return named(list).map((clause) => ({ ...clause, text: text.join(" "), deviates: deviates !== undefined, file }));
  });
}

function link(file: string): string {
  return `[${file.replace(/^src\//, "")}](../../${file})`;
}

function clause({ rfc, section }: Citation): string {
  const anchor = /^\d/.test(section) ? `section-${section}` : `appendix-${section}`;
  return `[§${section}](https://www.rfc-editor.org/rfc/rfc${rfc}#${anchor})`;
}

function files(from: readonly Citation[]): string {
  return [...new Set(from.map(({ file }) => file))].map(link).join(", ");
}

function sectionLines(cited: readonly Citation[], tested: readonly Citation[]): string[] {
  const stated = cited.filter(({ text }) => text !== undefined);
  const elsewhere = cited.filter(({ file, text }) => text === undefined && !stated.some((one) => one.file === file));
  return [
    `- ${clause((cited[0] ?? tested[0]) as Citation)}`,
    ...stated.map(({ text, file }) => `  - ${text} (${link(file)})`),
    ...(elsewhere.length > 0 ? [`  - mentioned in ${files(elsewhere)}`] : []),
    ...(tested.length > 0 ? [`  - tested in ${files(tested)}`] : []),
  ];
}

/** The whole page. */
export function page(code: readonly Citation[], tests: readonly Citation[]): string {
  const order = ({ rfc, section }: Citation, other: Citation) =>
    rfc - other.rfc || section.localeCompare(other.section, "en", { numeric: true });
  const deviations = code.filter(({ deviates }) => deviates).sort(order);
  const out = [
    "# What the code says of the RFCs",
    "",
    "Generated from comments in `src` and titles in `test` by `npm run docs`; do not edit.",
    "",
    "## Deliberate deviations",
    "",
    ...(deviations.length > 0
      ? deviations.map((one) => `- RFC ${one.rfc} ${clause(one)}: ${one.text} (${link(one.file)})`)
      : ["None."]),
    "",
  ];
  const all = [...code.filter(({ deviates }) => !deviates), ...tests].sort(order);
  const inTest = new Set(tests);
  for (const [rfc, own] of Map.groupBy(all, (one) => one.rfc)) {
    out.push(`## [RFC ${rfc}](https://www.rfc-editor.org/rfc/rfc${rfc})`, "");
    for (const section of Map.groupBy(own, (one) => one.section).values()) {
      const { code = [], test = [] } = Object.groupBy(section, (one) => (inTest.has(one) ? "test" : "code"));
      out.push(...sectionLines(code, test));
    }
    out.push("");
  }
  return `${out.join("\n").trimEnd()}\n`;
}

/** docs/rfc/README.md, from what lies under `root`. */
export function rfcPage(root: string): string {
  const scan = (pattern: string) =>
    globSync(pattern, { cwd: root, exclude: ["test/house/**"] })
      .sort()
      .flatMap((file) => citations(file, readFileSync(join(root, file), "utf8")));
  return page(scan("src/**/*.ts"), scan("test/**/*.test.ts"));
}
