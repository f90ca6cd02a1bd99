/**
 * What `npm run check` runs, and CI: everything that can be known of the sources without running them. All checks run,
 * also after one has failed, and the last line says which did.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pack } from "./pack.ts";

const root = join(import.meta.dirname, "..");

function succeeds(command: string, ...args: readonly string[]): boolean {
  const program = command === "node" ? process.execPath : join(root, "node_modules/.bin", command);
  return spawnSync(program, args, { cwd: root, stdio: "inherit" }).status === 0;
}

/** The published package is built from scratch, and its exports, types and bin point at what is in it. */
function packageShape(): boolean {
  const directory = mkdtempSync(join(tmpdir(), "postern-check-"));
  try {
    return succeeds("publint", "run", pack(directory), "--strict");
  } catch (error) {
    console.error(error);
    return false;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const checks: Readonly<Record<string, () => boolean>> = {
  "lint and format": () => succeeds("biome", "check", "."),
  walls: () => succeeds("node", "tools/walls.ts"),
  types: () => succeeds("tsc", "-b"),
  "dead code": () => succeeds("knip"),
  "files that only tests use": () => succeeds("knip", "--production", "--include", "files,dependencies,unlisted"),
  "generated documentation is current": () => succeeds("node", "tools/docs.ts", "--check"),
  "package shape": packageShape,
};

const failed: string[] = [];
for (const [name, passes] of Object.entries(checks)) {
  console.log(`\n— ${name}`);
  if (!passes()) failed.push(name);
}
console.log(failed.length === 0 ? "\nAll checks passed." : `\nFailed: ${failed.join(", ")}.`);
process.exitCode = failed.length === 0 ? 0 : 1;
