/** A certificate and its key, in PEM. */
import { constants, createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext, type TlsOptions } from "node:tls";
import { PosternError } from "../../core/base/failure.ts";
import type { Secret } from "../secret.ts";

export interface TlsIdentity {
  /** The certificate, followed by its intermediates. */
  readonly certificate: string | Uint8Array;
  readonly key: Secret<string | Uint8Array>;
}

/** What a TLS server needs besides its sockets. Throws `PosternError` `bad-tls-identity`. */
export function secureOptions({ certificate, key }: TlsIdentity): TlsOptions {
  const options = {
    cert: certificate as string | Buffer,
    key: key.reveal() as string | Buffer,
    minVersion: "TLSv1.2",
    // Renegotiation costs us far more than it costs a client.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  } as const;
  try {
    createSecureContext(options);
    // OpenSSL takes a key of another type than the certificate's as one for a further certificate, and then shows none.
    if (new X509Certificate(options.cert).checkPrivateKey(createPrivateKey(options.key))) return options;
  } catch (cause) {
    throw badIdentity(cause);
  }
  throw badIdentity(undefined);
}

function badIdentity(cause: unknown): PosternError {
  const sentence = "The TLS certificate and key do not work together: give a PEM chain and the key of its first one.";
  return new PosternError("bad-tls-identity", sentence, { cause });
}
