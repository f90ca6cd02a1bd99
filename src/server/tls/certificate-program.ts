/** The program of the thread that makes one certificate. */
import { parentPort, workerData } from "node:worker_threads";
import { createSelfSigned } from "./certificate.ts";
import type { CertificateWish } from "./certificate-thread.ts";

const { names, addresses, now } = workerData as CertificateWish;
parentPort?.postMessage(await createSelfSigned(names, addresses, now));
