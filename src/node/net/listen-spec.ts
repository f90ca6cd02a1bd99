/** Where clients are to come in. */
import type { Address } from "../../core/base/address.ts";
import type { TlsIdentity } from "./tls-identity.ts";

export interface ListenSpec {
  readonly transport: "udp" | "tcp" | "tls";
  /** One local address, never a wildcard; port 0 picks a free one. */
  readonly address: Readonly<Address>;
  /** Needed by, and only by, `tls`. */
  readonly tls?: TlsIdentity;
}
