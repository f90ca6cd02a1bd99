/** The certificate that TLS listeners show: the one that is configured, else one of our own in the data directory. */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { formatIp } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import type { TlsIdentity } from "../../node/net/tls-identity.ts";
import { type AddressPlan, isLinkLocal } from "../address-plan.ts";
import { isHostName } from "../config/address-kinds.ts";
import type { Config } from "../config/config.ts";
import { readSecretFile, writePrivate } from "../secret-file.ts";
import { createSelfSigned, isStillGood } from "./certificate.ts";

/** Where the certificate and its key are. */
export function identityFiles({ tlsCert, tlsKey, dataDir }: Config): { certificate: string; key: string } {
  return {
    certificate: tlsCert ?? join(dataDir, "tls-cert.pem"),
    key: tlsKey ?? join(dataDir, "tls-key.pem"),
  };
}

/** Whether anything is served over TLS. */
export function usesTls({ tlsPort, sipDomain, sipsPort }: Config): boolean {
  return tlsPort !== undefined || (sipDomain !== undefined && sipsPort !== undefined);
}

export function isSelfSigned({ tlsCert }: Config): boolean {
  return tlsCert === undefined;
}

/**
 * Reads the certificate and its key; makes them first when none are configured and ours does not name the addresses of
 * the plan or ends soon. Rejects with `PosternError`: `tls-cert-unreadable`, and those of `readSecretFile`.
 */
export async function loadIdentityFor(config: Config, { listen, relays }: AddressPlan): Promise<TlsIdentity> {
  const files = identityFiles(config);
  if (isSelfSigned(config)) {
    const addresses = [...listen, ...relays.map(({ advertised }) => advertised)].filter((one) => !isLinkLocal(one));
    await keepSelfSigned(files, names(config), [...new Set(addresses.map(formatIp))]);
  }
  return {
    certificate: readCertificate(files.certificate),
    key: readSecretFile(files.key, { groupMayRead: !isSelfSigned(config) }),
  };
}

function names({ serverName }: Config): string[] {
  const own = hostname();
  return [...(serverName === undefined ? [] : [serverName]), "localhost", ...(isHostName(own) ? [own] : [])];
}

async function keepSelfSigned(
  { certificate, key }: { certificate: string; key: string },
  hostNames: readonly string[],
  addresses: readonly string[],
): Promise<void> {
  const now = new Date();
  if (isStillGood(textOf(certificate), hostNames, addresses, now) && textOf(key) !== "") return;
  const made = await createSelfSigned([...new Set(hostNames)], addresses, now);
  // The key first: between the two writes the old certificate is not shown with the new key, because nobody reads yet.
  writePrivate(key, made.key);
  writePrivate(certificate, made.certificate);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function readCertificate(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw unreadable(path, cause as Error);
  }
}

function unreadable(path: string, cause: Error): PosternError {
  return new PosternError("tls-cert-unreadable", `The certificate in ${path} cannot be read: ${cause.message}.`, {
    cause,
  });
}
