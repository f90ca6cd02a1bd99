/**
 * Where Postern keeps what it makes. The directory is its owner's alone, and so is every secret in it.
 */
import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";
import { PosternError } from "../core/base/failure.ts";
import { makeDirectory } from "../node/make-directory.ts";

/** The place by systemd's and XDG's conventions; "" when the environment names no home. */
export function defaultDataDirectory(env: NodeJS.ProcessEnv): string {
  // systemd separates several state directories by colons.
  const state = env.STATE_DIRECTORY?.split(":")[0];
  if (state) return state;
  if (env.XDG_DATA_HOME) return join(env.XDG_DATA_HOME, "postern");
  return env.HOME ? join(env.HOME, ".local/share/postern") : "";
}

/**
 * Creates the directory, mode 700, if it is not there. Throws `PosternError` `data-dir-missing`, `data-dir-unusable` or
 * `data-dir-exposed`.
 */
export function openDataDirectory(path: string): string {
  if (path === "") {
    throw new PosternError("data-dir-missing", "There is no home directory to keep secrets in: set data-dir.");
  }
  let mode: number;
  let owner = "";
  try {
    makeDirectory(path, 0o700);
    const found = statSync(path);
    if (!found.isDirectory()) throw new Error("it is no directory");
    if (found.uid !== process.getuid?.()) owner = ` It belongs to the user ${found.uid}.`;
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    ({ mode } = found);
  } catch (cause) {
    throw unusable(path, owner, cause as Error);
  }
  if ((mode & 0o002) === 0) return path;
  throw new PosternError("data-dir-exposed", `Everybody can write to the data directory: run chmod 700 ${path}`);
}

function unusable(path: string, owner: string, cause: Error): PosternError {
  const sentence = `The data directory ${path} cannot be used: ${cause.message}.${owner} Set data-dir to another.`;
  return new PosternError("data-dir-unusable", sentence, { cause });
}

/**
 * Where root uses a directory that is somebody else's, goes on as that somebody, for good: what is made there is then
 * readable for a daemon that is not root, and nothing that its owner put there, a link say, is followed with root's
 * rights.
 */
export function becomeOwner(directory: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(directory);
  if (uid === 0) return;
  process.setgroups?.([gid]);
  process.setgid?.(gid);
  process.setuid?.(uid);
}
