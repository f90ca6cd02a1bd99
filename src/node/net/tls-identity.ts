/** A certificate and its key, in PEM. */
import type { Secret } from "../secret.ts";

export interface TlsIdentity {
  /** The certificate, followed by its intermediates. */
  readonly certificate: string | Uint8Array;
  readonly key: Secret<string | Uint8Array>;
}
