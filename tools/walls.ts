/**
 * Who may import whom. The project references already stop an import against `cli → server → node → core`; this table
 * adds the walls inside the core, and keeps npm packages and Node's modules out of it. A directory that the table does
 * not name is an error, so that a new one gets its place here first.
 */
import { globSync, readFileSync } from "node:fs";
import { join, posix, resolve } from "node:path";

type Imports = { readonly area: readonly string[]; readonly packages: boolean };

const walls: Readonly<Record<string, Imports>> = {
  "core/base": { area: [], packages: false },
  "core/media": { area: ["core/base"], packages: false },
  "core/stun": { area: ["core/base"], packages: false },
  // turn, ice and sip are siblings: composition happens above them.
  "core/turn": { area: ["core/base", "core/stun"], packages: false },
  "core/ice": { area: ["core/base", "core/stun", "core/sdp"], packages: false },
  "core/sip": { area: ["core/base", "core/sdp"], packages: false },
  "core/sdp": { area: ["core/base"], packages: false },
  "core/rtp": { area: ["core/base"], packages: false },
  // What a call is, in nobody's words; the relay of its media knows neither SIP nor TURN.
  "core/call": { area: ["core/base", "core/sdp", "core/rtp"], packages: false },
  // It answers ICE's checks, which are STUN; ICE itself is a sibling of those above it.
  "core/relay": { area: ["core/base", "core/stun", "core/sdp", "core/rtp", "core/call"], packages: false },
  // The SIP edge: signaling and media put together.
  "core/edge": { area: ["core/base", "core/sdp", "core/rtp", "core/call", "core/relay", "core/sip"], packages: false },
  "core/portmap": { area: ["core/base"], packages: false },
  "core/rendezvous": { area: ["core/base"], packages: false },
  // A simulated network reads what middleboxes read, and knows no machine.
  natlab: { area: ["core/base", "core/stun/registry.ts"], packages: false },
  // The wall around foreign functions: nothing in it knows what it is used for.
  "node/sys": { area: ["core/base"], packages: true },
  node: { area: ["core"], packages: true },
  server: { area: ["core", "node"], packages: true },
  // Networks of real namespaces, declared so that natlab can be built alike.
  lab: { area: ["core", "natlab", "node"], packages: true },
  cli: { area: ["core", "node", "server", "lab"], packages: true },
};

const specifiers = /^\s*(?:import|export)\b[^"';]*?\bfrom\s*"([^"]+)"|^\s*import\s*"([^"]+)"|\bimport\(\s*"([^"]+)"/gm;

/** What can call a foreign function; one file does. */
const foreignDoors = /koffi|node:ffi|process\.dlopen/;
const foreignDoor = "node/sys/foreign.ts";

function within(path: string, area: string): boolean {
  return path === area || path.startsWith(`${area}/`);
}

/** Every breach under `root` (the directory that holds `src`), one sentence each. */
export function breaches(root: string): string[] {
  const found: string[] = [];
  for (const file of globSync("src/**/*.ts", { cwd: root }).sort()) {
    const path = file.replaceAll("\\", "/").slice("src/".length);
    const own = Object.keys(walls).find((area) => within(path, area));
    if (own === undefined) {
      found.push(`src/${path}: no area of tools/walls.ts holds this file`);
      continue;
    }
    const allowed = walls[own] as Imports;
    const text = readFileSync(join(root, file), "utf8");
    if (path !== foreignDoor && foreignDoors.test(text)) {
      found.push(`src/${path}: foreign functions are called through src/node/sys alone`);
    }
    for (const match of text.matchAll(specifiers)) {
      const specifier = (match[1] ?? match[2] ?? match[3]) as string;
      if (!specifier.startsWith(".")) {
        if (!allowed.packages) found.push(`src/${path}: ${own} imports no package or Node module: "${specifier}"`);
        continue;
      }
      const target = posix.join(posix.dirname(path), specifier);
      if (![own, ...allowed.area].some((area) => within(target, area))) {
        found.push(`src/${path}: ${own} may not import src/${target}`);
      }
    }
  }
  return found;
}

if (import.meta.main) {
  const root = resolve(process.argv[2] ?? join(import.meta.dirname, ".."));
  const found = breaches(root);
  for (const line of found) console.error(line);
  process.exitCode = found.length > 0 ? 1 : 0;
}
