/** The certificate that TLS listeners show: the one that is configured, else one of our own in the data directory. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { formatIp } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import { secureOptions, type TlsIdentity } from "../../node/net/tls-identity.ts";
import { type AddressPlan, isLinkLocal } from "../address-plan.ts";
import { isHostName } from "../config/address-kinds.ts";
import type { Config } from "../config/config.ts";
import { readSecretFile, writePrivate } from "../secret-file.ts";
import { isStillGood } from "./certificate.ts";
import { createApart } from "./certificate-thread.ts";

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
 * the plan or ends soon. Rejects with `PosternError`: `tls-cert-unreadable`, `bad-tls-identity`, and those of `readSecretFile`.
 */
export async function loadIdentityFor(config: Config, { listen, relays }: AddressPlan): Promise<TlsIdentity> {
  if (isSelfSigned(config)) {
    const addresses = [...listen, ...relays.map(({ advertised }) => advertised)].filter((one) => !isLinkLocal(one));
    await keepSelfSigned(identityFiles(config), names(config), [...new Set(addresses.map(formatIp))]);
  }
  return readIdentity(config);
}

/**
 * The certificate and key that the configuration names; undefined when it names none. Throws `PosternError` `tls-cert-unreadable`,
 * `bad-tls-identity`, and those of `readSecretFile`.
 */
export function readConfiguredIdentity(config: Config): TlsIdentity | undefined {
  return isSelfSigned(config) ? undefined : readIdentity(config);
}

/** Why clients will refuse a certificate that can be used, as a sentence; undefined when nothing is known. */
export function certificateFlaw(
  { certificate }: TlsIdentity,
  { tlsCert, serverName }: Config,
  now: Date,
): string | undefined {
  const x509 = new X509Certificate(certificate);
  const ends = new Date(x509.validTo);
  const begins = new Date(x509.validFrom);
  if (begins > now)
    return `The certificate in ${tlsCert} begins on ${begins.toISOString().slice(0, 10)}: wait until then.`;
  if (ends <= now) return `The certificate in ${tlsCert} ended on ${ends.toISOString().slice(0, 10)}: renew it.`;
  if (serverName === undefined || x509.checkHost(serverName, { subject: "never" }) !== undefined) return undefined;
  return `The certificate in ${tlsCert} is not for ${serverName}: get one that names it, or set server-name to a name that it has.`;
}

function readIdentity(config: Config): TlsIdentity {
  const files = identityFiles(config);
  const identity = {
    certificate: readCertificate(files.certificate),
    key: readSecretFile(files.key, { groupMayRead: !isSelfSigned(config) }),
  };
  secureOptions(identity);
  return identity;
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
  const made = await createApart({ names: [...new Set(hostNames)], addresses, now });
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
