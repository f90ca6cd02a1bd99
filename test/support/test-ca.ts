/** A certificate authority for one test run, and a certificate of it for some names, as PEM files in a directory. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runChild } from "./child.ts";

export interface TestCertificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** `names`: what the certificate is for, as subjectAltName has it. */
export async function makeTestCertificates(
  directory: string,
  names = "DNS:localhost,IP:127.0.0.1",
): Promise<TestCertificates> {
  const file = (name: string) => join(directory, name);
  const openssl = (...args: readonly string[]) => runChild(["openssl", ...args]);
  const ecKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await writeFile(file("leaf.ext"), `subjectAltName=${names}\nbasicConstraints=CA:FALSE\n`);
  await openssl(
    ...["req", "-x509", ...ecKey, "-keyout", file("ca.key"), "-out", file("ca.pem"), "-days", "3"],
    ...["-subj", "/CN=Postern test CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign"],
  );
  await openssl(...["req", ...ecKey, "-keyout", file("leaf.key"), "-out", file("leaf.csr"), "-subj", "/CN=localhost"]);
  await openssl(
    ...["x509", "-req", "-in", file("leaf.csr"), "-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-CAcreateserial"],
    ...["-out", file("leaf.pem"), "-days", "2", "-extfile", file("leaf.ext")],
  );
  return { ca: file("ca.pem"), cert: file("leaf.pem"), key: file("leaf.key") };
}
