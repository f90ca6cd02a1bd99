/** Everything secret that the daemon runs with, read from its files at start and at every reload. */
import { join } from "node:path";
import { PosternError } from "../core/base/failure.ts";
import { encodeUtf8 } from "../core/base/utf8.ts";
import type { SharedSecret } from "../core/turn/server/config.ts";
import type { Secret } from "../node/secret.ts";
import type { Config } from "./config/config.ts";
import { keepSecretFile, readSecretFile } from "./secret-file.ts";
import { loadSharedSecrets } from "./shared-secrets.ts";

/** A token can be tried at the speed of the network. */
const leastTokenCharacters = 16;

export interface Secrets {
  readonly sharedSecrets: readonly SharedSecret[];
  readonly httpToken: Secret;
}

export function httpTokenFile({ httpTokenFile: given, dataDir }: Config): string {
  return given ?? join(dataDir, "http-token");
}

/** Throws `PosternError`: those of `readSecretFile`, `bad-shared-secret` and `bad-http-token`. */
export function loadSecrets(config: Config): Secrets {
  const path = httpTokenFile(config);
  if (config.httpTokenFile === undefined) keepSecretFile(path);
  return { sharedSecrets: loadSharedSecrets(config), httpToken: readHttpToken(path) };
}

/** Throws `PosternError`: those of `readSecretFile`, and `bad-http-token`. */
export function readHttpToken(path: string): Secret {
  const token = readSecretFile(path);
  if (token.reveal().length >= leastTokenCharacters) return token;
  const sentence = `The token in ${path} has fewer than ${leastTokenCharacters} characters: make a longer one.`;
  throw new PosternError("bad-http-token", sentence);
}

/** Kept across restarts, so that clients need no new nonce after one. */
export function loadNonceKey({ dataDir }: Config): Uint8Array {
  return encodeUtf8(keepSecretFile(join(dataDir, "nonce-key")).reveal());
}
