/** NAT-PMP (RFC 6886): as much of its codec as asks a gateway for its external address. */
import { type Address, ipv4 } from "../base/address.ts";
import { readU16, readU32 } from "../base/bytes.ts";

/** RFC 6886 §3.2: where a gateway listens. */
export const NAT_PMP_PORT = 5351;

/** RFC 6886 §3.5: of them, what is told apart here. */
export const ResultCode = { Success: 0, UnsupportedVersion: 1, NotAuthorized: 2, NetworkFailure: 3 } as const;

/** What a gateway says of its external address; the port is zero. */
export type ExternalAddressResponse =
  | { readonly kind: "address"; readonly address: Readonly<Address> }
  | { readonly kind: "refused"; readonly code: number };

const REQUEST = 0;
const RESPONSE = 128;
/** Version, opcode and result code. */
const SHORTEST = 4;
const SUCCESS_LENGTH = 12;

/** RFC 6886 §3.2: version 0, opcode 0. */
export function encodeExternalAddressRequest(): Uint8Array {
  return Uint8Array.of(0, REQUEST);
}

/** Undefined: these bytes are no answer to that request. */
export function decodeExternalAddressResponse(data: Uint8Array): ExternalAddressResponse | undefined {
  if (data.length < SHORTEST) return undefined;
  const [version, opcode] = data;
  const code = readU16(data, 2);
  // RFC 6886 §3.5: a refusal of the version bears opcode 0, and a version of the gateway's choice.
  if (code === ResultCode.UnsupportedVersion && opcode === REQUEST) return { kind: "refused", code };
  if (opcode !== RESPONSE) return undefined;
  if (code !== ResultCode.Success) return { kind: "refused", code };
  if (version !== 0 || data.length < SUCCESS_LENGTH) return undefined;
  const address = ipv4(readU32(data, 8), 0);
  return address.w3 === 0 ? { kind: "refused", code: ResultCode.NetworkFailure } : { kind: "address", address };
}
