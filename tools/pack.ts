/**
 * Makes the package that is published. The repository pins the Node that runs its scripts as optional dependencies;
 * those who install Postern run their own, so the pins must not reach them. The package is therefore built and packed
 * in a directory apart, from a rewritten package.json: the working tree is never touched, whatever happens meanwhile.
 *
 *   npm run package [directory]    writes postern-<version>.tgz there (here when not given) and prints its path
 *
 * `npm pack` and `npm publish` in the working tree refuse (see `prepack`). To publish: npm publish postern-<version>.tgz
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = join(import.meta.dirname, "..");
const pinnedNode = /^node-(linux|darwin|win)-/;

type Manifest = Record<string, unknown> & { optionalDependencies?: Record<string, string> };

/** The package.json that users get: without the pinned Node, the tools and the scripts of the repository. */
export function publishedManifest(source: Manifest): Manifest {
  const { private: _, scripts: _scripts, devDependencies: _dev, optionalDependencies, ...published } = source;
  const kept = Object.entries(optionalDependencies ?? {}).filter(([name]) => !pinnedNode.test(name));
  return kept.length === 0 ? published : { ...published, optionalDependencies: Object.fromEntries(kept) };
}

/** Builds the package in `directory`. */
function stage(directory: string): void {
  for (const name of ["src", "tsconfig.base.json", "README.md", "CHANGELOG.md", "LICENSE", "LICENSES"]) {
    if (existsSync(join(root, name))) cpSync(join(root, name), join(directory, name), { recursive: true });
  }
  const manifest = publishedManifest(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));
  writeFileSync(join(directory, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  const { status, stdout } = spawnSync(join(root, "node_modules/.bin/tsc"), ["-b", "src/cli", "src/natlab"], {
    cwd: directory,
  });
  if (status !== 0) throw new Error(`the sources do not compile:\n${stdout}`);
  rmSync(join(directory, "node_modules"));
}

/** Builds, packs into `directory` and returns the path of the tarball. */
export function pack(directory: string): string {
  mkdirSync(directory, { recursive: true });
  const staged = mkdtempSync(join(tmpdir(), "postern-pack-"));
  try {
    stage(staged);
    const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", directory];
    const [packed] = JSON.parse(execFileSync("npm", args, { cwd: staged, encoding: "utf8" })) as { filename: string }[];
    return join(directory, (packed as { filename: string }).filename);
  } finally {
    rmSync(staged, { recursive: true });
  }
}

if (import.meta.main) {
  if (process.argv.includes("--refuse")) {
    console.error(
      "The working tree is not what is published: run `npm run package`, then `npm publish <the tarball>`.",
    );
    process.exitCode = 1;
  } else {
    console.log(pack(resolve(process.argv[2] ?? ".")));
  }
}
