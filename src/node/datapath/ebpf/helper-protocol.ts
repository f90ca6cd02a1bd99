/**
 * What the helper, which has the privilege, can be asked by the daemon, which has none. The list is closed: nothing names a
 * file or a program. An interface's number varies, and between which addresses a connection of UDP is, of which is told only
 * whether the host's netfilter translates it.
 *
 * On the connection `open` is answered by a new connection, which stands for one program in the kernel, and by the
 * descriptors of that program's maps. On that one `attach` and `detach` are asked, whether something
 * still is `attached`, and the host's netfilter, and answered in turn. What is closed, by whomever and however, is taken out of the kernel.
 */
import { createHash } from "node:crypto";
import { type Address, blankAddress } from "../../../core/base/address.ts";
import { INSTRUCTIONS, MAPS, RELOCATIONS } from "./program.ts";

const kinds = { open: 1, attach: 2, detach: 3, generation: 4, translates: 5, tracking: 6, attached: 7 } as const;

export type HelperRequest =
  | { readonly kind: "open" | "generation" | "translates" }
  | { readonly kind: "attach" | "detach" | "attached"; readonly interface: number }
  | { readonly kind: "tracking"; readonly local: Readonly<Address>; readonly remote: Readonly<Address> };

const requestSize = 8;
/** Each four words and a port. */
const addressSize = 20;
const largestIndex = 0x7fffffff;

export function encodeRequest(request: HelperRequest): Uint8Array {
  const bytes = new Uint8Array(requestSize + (request.kind === "tracking" ? 2 * addressSize : 0));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, kinds[request.kind], true);
  if ("interface" in request) view.setUint32(4, request.interface, true);
  if (request.kind !== "tracking") return bytes;
  view.setUint32(4, request.local.family, true);
  for (const [i, { w0, w1, w2, w3, port }] of [request.local, request.remote].entries()) {
    for (const [j, word] of [w0, w1, w2, w3, port].entries())
      view.setUint32(requestSize + addressSize * i + 4 * j, word);
  }
  return bytes;
}

function readAddress(view: DataView, at: number, family: 4 | 6): Address | undefined {
  const [w0, w1, w2, w3, port] = [0, 4, 8, 12, 16].map((offset) => view.getInt32(at + offset));
  const address = { ...blankAddress(), family, w0: w0!, w1: w1!, w2: w2!, w3: w3!, port: port! };
  return port! >= 0 && port! <= 0xffff ? address : undefined;
}

function decodeTracking(bytes: Uint8Array): HelperRequest | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const family = view.getUint32(4, true);
  if (bytes.length !== requestSize + 2 * addressSize || (family !== 4 && family !== 6)) return undefined;
  const [local, remote] = [0, addressSize].map((at) => readAddress(view, requestSize + at, family));
  return local && remote && { kind: "tracking", local, remote };
}

/** Undefined for whatever is not exactly a request. */
export function decodeRequest(bytes: Uint8Array): HelperRequest | undefined {
  if (bytes.length < requestSize) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const [kind, index] = [view.getUint32(0, true), view.getUint32(4, true)];
  if (kind === kinds.tracking) return decodeTracking(bytes);
  if (bytes.length !== requestSize) return undefined;
  for (const name of ["open", "generation", "translates"] as const) {
    if (kind === kinds[name]) return index === 0 ? { kind: name } : undefined;
  }
  if (index === 0 || index > largestIndex) return undefined;
  for (const name of ["attach", "detach", "attached"] as const) {
    if (kind === kinds[name]) return { kind: name, interface: index };
  }
  return undefined;
}

export interface HelperReply {
  /** 0, or the number of the kernel's error. */
  readonly errno: number;
  /** What went wrong; which program it is, in answer to `open`. */
  readonly text: string;
}

const longestText = 400;

export function encodeReply({ errno, text }: HelperReply): Uint8Array {
  const words = new TextEncoder().encode(text).subarray(0, longestText);
  const bytes = new Uint8Array(4 + words.length);
  new DataView(bytes.buffer).setUint32(0, errno, true);
  bytes.set(words, 4);
  return bytes;
}

export function decodeReply(bytes: Uint8Array): HelperReply | undefined {
  if (bytes.length < 4) return undefined;
  const errno = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  return { errno, text: new TextDecoder().decode(bytes.subarray(4)) };
}

/** Of the program that this release has: after an update, the helper and the daemon may be of different ones. */
export function programDigest(): string {
  return createHash("sha256")
    .update(JSON.stringify([INSTRUCTIONS, MAPS, RELOCATIONS]))
    .digest("hex")
    .slice(0, 32);
}
