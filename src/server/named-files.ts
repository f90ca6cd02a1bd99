/** Reads the files that a configuration names, as a start would, without making any. */
import { PosternError } from "../core/base/failure.ts";
import type { Config } from "./config/config.ts";
import { readHttpToken } from "./secrets.ts";
import { ownSharedSecretFile, readSharedSecrets, sharedSecretFiles } from "./shared-secrets.ts";
import { certificateFlaw, readConfiguredIdentity, usesTls } from "./tls/identity.ts";

/** Throws `PosternError` of the first that cannot be used, and `tls-cert-refused` for a certificate that clients will refuse. */
export function checkNamedFiles(config: Config, now: Date): void {
  const identity = usesTls(config) ? readConfiguredIdentity(config) : undefined;
  const flaw = identity === undefined ? undefined : certificateFlaw(identity, config, now);
  if (flaw !== undefined) throw new PosternError("tls-cert-refused", flaw);
  if (config.httpTokenFile !== undefined) readHttpToken(config.httpTokenFile);
  // Made at the first start, when it is not there yet.
  const own = ownSharedSecretFile(config);
  for (const path of sharedSecretFiles(config)) if (path !== own) readSharedSecrets(path);
}
