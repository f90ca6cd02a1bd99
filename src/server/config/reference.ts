/** docs/configuration.md, from the schema. */
import type { Kind } from "./kinds.ts";
import { fileKey, flag, optionNames, variable } from "./names.ts";
import { groups, type Option, options } from "./options.ts";

const opening = `# Configuration

Generated from the schema in \`src/server/config/options.ts\` by \`npm run docs\`; do not edit.

Postern needs none of this. Every option can be given in a YAML file, in the environment and as a flag, under one name:
\`relay-ports\` is also \`POSTERN_RELAY_PORTS\` and \`--relay-ports\`. Flags win over the environment, the environment over
the file, the file over the defaults. \`postern serve --print-config\` shows what that comes to.

The file is the one of \`--config\` or \`POSTERN_CONFIG\`, else \`~/.config/postern/postern.yaml\` (\`$XDG_CONFIG_HOME\`) or
\`/etc/postern/postern.yaml\`, whichever is there first:

\`\`\`yaml
realm: example.org
external-address: 203.0.113.5
relay-ports: 50000-59999
allow-peers:
  - 10.20.0.0/16
\`\`\`

Lists are separated by commas in the environment; flags may be repeated too. Times are written \`90s\`, \`10m\`, \`12h\`,
\`7d\`. A mistake anywhere stops the start, and all of them are told at once, each with its place.

On SIGHUP, and when a file changes, options marked ↻ are taken over without dropping a session; the others need a
restart, and the log says so. A file that has become bad changes nothing.
`;

function defaultOf({ kind, fallback, fallbackText }: Option<unknown>): string {
  if (fallbackText !== undefined) return fallbackText;
  const written = kind.format(fallback);
  return `\`${String(written)}\``;
}

function entry(name: (typeof optionNames)[number]): string {
  const option = options[name] as Option<unknown>;
  const { form } = option.kind as Kind<unknown>;
  return [
    `### ${fileKey(name)}${option.reloads === true ? " ↻" : ""}`,
    "",
    `\`${flag(name)} ${form}\` · \`${variable(name)}\``,
    "",
    option.description,
    "",
    `Default: ${defaultOf(option)}${defaultOf(option).endsWith(".") ? "" : "."}`,
    "",
  ].join("\n");
}

/** The whole page, in Markdown. */
export function reference(): string {
  const sections = groups.map((group) => {
    const own = optionNames.filter((name) => options[name].group === group);
    return [`## ${group}`, "", ...own.map(entry)].join("\n");
  });
  return `${[opening, ...sections].join("\n").trimEnd()}\n`;
}
