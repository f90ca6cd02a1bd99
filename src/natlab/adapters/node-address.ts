/** Addresses as Node's sockets show them, and errors with its codes. */
import { type Address, formatIp, parseIp } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";

export interface NodeAddress {
  readonly address: string;
  readonly family: "IPv4" | "IPv6";
  readonly port: number;
}

export function toNodeAddress(address: Readonly<Address>): NodeAddress {
  return { address: formatIp(address), family: address.family === 6 ? "IPv6" : "IPv4", port: address.port };
}

/** Names are not looked up here. */
export function fromNodeAddress(host: string, port: number): Address {
  const address = parseIp(host, port);
  if (address !== undefined) return address;
  throw new PosternError("NATLAB_ADDRESS", `Write an IP address in place of "${host}": natlab looks up no names.`);
}

/** What Node's errors have beside their message. */
export interface NodeError extends Error {
  readonly code: string;
  readonly syscall: string;
}

export function nodeError(code: string, syscall: string): NodeError {
  return Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
}
