/** The secrets that time-limited credentials are made with: from the configuration and from files. */
import { join } from "node:path";
import { PosternError } from "../core/base/failure.ts";
import { encodeUtf8 } from "../core/base/utf8.ts";
import type { SharedSecret } from "../core/turn/server/config.ts";
import type { Config } from "./config/config.ts";
import { parseSharedSecret, type SharedSecretText, sharedSecretRule } from "./config/shared-secret-text.ts";
import { keepSecretFile, readSecretFile } from "./secret-file.ts";

export function ownSharedSecretFile({ dataDir }: Config): string {
  return join(dataDir, "shared-secret");
}

/** The files that hold shared secrets; the data directory's own unless others are named. */
export function sharedSecretFiles(config: Config): readonly string[] {
  const { auth, sharedSecrets, sharedSecretFiles: files } = config;
  if (auth === "users") return [];
  return files.length > 0 || sharedSecrets.length > 0 ? files : [ownSharedSecretFile(config)];
}

/**
 * Every shared secret, the one that makes credentials first; none where only users are let in. Makes the data
 * directory's own when there is no other. Throws `PosternError`: those of `readSecretFile`, and `bad-shared-secret`.
 */
export function loadSharedSecrets(config: Config): SharedSecret[] {
  const own = ownSharedSecretFile(config);
  const files = sharedSecretFiles(config);
  if (files.includes(own)) keepSecretFile(own);
  const inFiles = files.flatMap(readSharedSecrets);
  return [...config.sharedSecrets, ...inFiles].map(({ hash, secret }) => ({
    hash,
    secret: encodeUtf8(secret.reveal()),
  }));
}

/** Throws `PosternError`: those of `readSecretFile`, and `bad-shared-secret`. */
export function readSharedSecrets(path: string): SharedSecretText[] {
  const lines = readSecretFile(path)
    .reveal()
    .split("\n")
    .map((line) => line.trim());
  return lines.flatMap((line, i) => {
    if (line === "") return [];
    const parsed = parseSharedSecret(line);
    if (parsed !== undefined) return [parsed];
    throw new PosternError("bad-shared-secret", `${path}:${i + 1}: a shared secret must be ${sharedSecretRule}.`);
  });
}
