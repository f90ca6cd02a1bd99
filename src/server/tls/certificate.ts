/**
 * A certificate that Postern signs itself, so that the TLS port works for tests on the first start. Browsers do not
 * trust it; whoever serves the public gives a real one.
 */
import { X509Certificate } from "node:crypto";
import type { MadeCertificate } from "./certificate-thread.ts";

const VALID_DAYS = 397;
const DAY_MS = 86_400_000;

/** Makes a P-256 key and a certificate for these names and IP addresses, valid for 397 days from `now`. */
export async function createSelfSigned(
  names: readonly string[],
  addresses: readonly string[],
  now: Date,
): Promise<MadeCertificate> {
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const { webcrypto } = await import("node:crypto");
  x509.cryptoProvider.set(webcrypto as never);
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [names[0] ?? "postern"] }],
    notBefore: new Date(now.getTime() - DAY_MS),
    notAfter: new Date(now.getTime() + VALID_DAYS * DAY_MS),
    signingAlgorithm: algorithm,
    keys: keys as never,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        ...names.map((value) => ({ type: "dns" as const, value })),
        ...addresses.map((value) => ({ type: "ip" as const, value })),
      ]),
    ],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const lines = pkcs8.match(/.{1,64}/g) ?? [];
  return {
    certificate: `${certificate.toString("pem")}\n`,
    key: ["-----BEGIN PRIVATE KEY-----", ...lines, "-----END PRIVATE KEY-----", ""].join("\n"),
  };
}

/** Whether a certificate made here is still good: 30 days are left, and it names all of these. */
export function isStillGood(
  certificate: string,
  names: readonly string[],
  addresses: readonly string[],
  now: Date,
): boolean {
  try {
    const x509 = new X509Certificate(certificate);
    if (x509.validToDate.getTime() - now.getTime() < 30 * DAY_MS) return false;
    return names.every((n) => x509.checkHost(n) !== undefined) && addresses.every((a) => x509.checkIP(a) !== undefined);
  } catch {
    return false;
  }
}
