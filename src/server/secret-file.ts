/**
 * Secrets in files of their own: made once, written whole or not at all, and refused when somebody else can read them.
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { PosternError } from "../core/base/failure.ts";
import { Secret } from "../node/secret.ts";

/** 256 bits in base64url, which passes through files, headers and YAML unchanged. */
export function generateSecret(): string {
  return randomBytes(32).toString("base64url");
}

/**
 * Reads a secret file, without the white space around it. Throws `PosternError` `secret-unreadable`, `secret-exposed`
 * (others may read it) or `secret-empty`.
 */
export function readSecretFile(path: string, { groupMayRead = false }: { groupMayRead?: boolean } = {}): Secret {
  const text = read(path, groupMayRead ? 0o007 : 0o077).trim();
  if (text === "") throw new PosternError("secret-empty", `${path} is empty: write the secret into it, or remove it.`);
  return new Secret(text);
}

/** `forbidden`: rights that others may not have. */
function read(path: string, forbidden: number): string {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, "r");
    if ((fstatSync(descriptor).mode & forbidden) === 0) return readFileSync(descriptor, "utf8");
  } catch (cause) {
    throw unreadable(path, cause as Error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
  throw new PosternError("secret-exposed", `Others may read the secret in ${path}: run chmod 600 ${path}`);
}

function unreadable(path: string, cause: Error): PosternError {
  return new PosternError("secret-unreadable", `The secret in ${path} cannot be read: ${cause.message}.`, { cause });
}

/** Reads a secret file, which is made with `make` if it is not there. Of two makers at once the first wins. */
export function keepSecretFile(path: string, make: () => string = generateSecret): Secret {
  try {
    return readSecretFile(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  writePrivate(path, `${make()}\n`, "keep");
  return readSecretFile(path);
}

function isMissing(error: unknown): boolean {
  return ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
}

/**
 * Writes a file of mode 600 so that nobody ever sees a part of it. `keep` leaves a file that is there already as it is.
 * Throws `PosternError` `secret-unwritable`.
 */
export function writePrivate(path: string, text: string, existing: "keep" | "replace" = "replace"): void {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  try {
    const descriptor = openSync(draft, "wx", 0o600);
    try {
      writeSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    if (existing === "replace") renameSync(draft, path);
    else publish(draft, path);
  } catch (cause) {
    throw unwritable(path, cause as Error);
  }
}

/** A link, unlike a rename, fails when the name is taken. */
function publish(draft: string, path: string): void {
  try {
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    unlinkSync(draft);
  }
}

function unwritable(path: string, cause: Error): PosternError {
  return new PosternError("secret-unwritable", `${path} cannot be written: ${cause.message}.`, { cause });
}
