/**
 * What the helper, which has the privilege, can be asked by the daemon, which has none. The list is closed: nothing names a
 * file, a program or an address, and the only thing in it that varies is an interface's number.
 *
 * On the connection `open` is answered by a new connection, which stands for one program in the kernel, and by the
 * descriptors of that program's maps. On that one `attach` and `detach` are asked, and answered in turn. What is closed,
 * by whomever and however, is taken out of the kernel.
 */
import { createHash } from "node:crypto";
import { INSTRUCTIONS, MAPS, RELOCATIONS } from "./program.ts";

const kinds = { open: 1, attach: 2, detach: 3 } as const;

export type HelperRequest =
  | { readonly kind: "open" }
  | { readonly kind: "attach" | "detach"; readonly interface: number };

const requestSize = 8;
const largestIndex = 0x7fffffff;

export function encodeRequest(request: HelperRequest): Uint8Array {
  const bytes = new Uint8Array(requestSize);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, kinds[request.kind], true);
  if (request.kind !== "open") view.setUint32(4, request.interface, true);
  return bytes;
}

/** Undefined for whatever is not exactly a request. */
export function decodeRequest(bytes: Uint8Array): HelperRequest | undefined {
  if (bytes.length !== requestSize) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const [kind, index] = [view.getUint32(0, true), view.getUint32(4, true)];
  if (kind === kinds.open) return index === 0 ? { kind: "open" } : undefined;
  if (index === 0 || index > largestIndex) return undefined;
  if (kind === kinds.attach) return { kind: "attach", interface: index };
  return kind === kinds.detach ? { kind: "detach", interface: index } : undefined;
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
