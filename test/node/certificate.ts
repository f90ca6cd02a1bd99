/** Self-signed certificates made on the spot, by openssl. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TlsIdentity } from "../../src/node/net/tls-identity.ts";
import { Secret } from "../../src/node/secret.ts";
import { runChild } from "../support/child.ts";

export async function makeIdentity(name: string): Promise<TlsIdentity> {
  const directory = await mkdtemp(join(tmpdir(), "postern-certificate-"));
  try {
    const [key, certificate] = [join(directory, "key.pem"), join(directory, "certificate.pem")];
    const ecKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    await runChild(["openssl", "req", "-x509", ...ecKey, "-keyout", key, "-out", certificate, "-subj", `/CN=${name}`]);
    return { certificate: await readFile(certificate, "utf8"), key: new Secret(await readFile(key, "utf8")) };
  } finally {
    await rm(directory, { recursive: true });
  }
}
