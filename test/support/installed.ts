/** The package as a user has it: packed from the sources and installed into a project elsewhere. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { pack } from "../../tools/pack.ts";

export interface Installed extends AsyncDisposable {
  /** A directory of one's own, to be used as HOME. */
  readonly home: string;
  /** The project that depends on postern. */
  readonly project: string;
  /** What a shell of the user's has set: the Node under test first on PATH, and nothing of this process's. */
  readonly env: Readonly<Record<string, string>>;
}

export async function installPackage(): Promise<Installed> {
  const home = await mkdtemp(join(tmpdir(), "postern-user-"));
  const project = join(home, "project");
  await mkdir(project);
  await writeFile(join(project, "package.json"), '{ "type": "module" }\n');
  const flags = ["--prefer-offline", "--no-audit", "--no-fund"];
  await promisify(execFile)("npm", ["install", ...flags, pack(home)], { cwd: project });
  const env = { HOME: home, PATH: [dirname(process.execPath), "/usr/bin", "/bin"].join(delimiter) };
  return { home, project, env, [Symbol.asyncDispose]: () => rm(home, { recursive: true }) };
}
