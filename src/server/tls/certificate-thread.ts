/**
 * A certificate made in a thread that ends with it: the libraries that this takes are large, and a server that runs for
 * months would keep them for one certificate.
 */
import { Worker } from "node:worker_threads";

export interface CertificateWish {
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly now: Date;
}

/** In PEM. */
export interface MadeCertificate {
  readonly certificate: string;
  readonly key: string;
}

const program = new URL(`./certificate-program${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);

/** `createSelfSigned`, there. Resolves when the thread has ended. */
export async function createApart(wish: CertificateWish): Promise<MadeCertificate> {
  const worker = new Worker(program, { workerData: wish });
  let made: MadeCertificate | undefined;
  const ended = Promise.withResolvers<void>();
  worker.once("message", (message: MadeCertificate) => (made = message));
  worker.once("error", ended.reject);
  worker.once("exit", () => ended.resolve());
  await ended.promise;
  if (made === undefined) throw new Error("The thread that makes the certificate has ended without one.");
  return made;
}
