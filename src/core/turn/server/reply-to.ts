/**
 * What an answer needs of its request: little, and copied, because an Allocate is answered later than it is read.
 */
import type { HmacKey } from "../../base/ports.ts";
import { Attribute } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";
import { type ClientPath, copyPath } from "./client-path.ts";

/** How a request was sealed, and so how its answer is (RFC 8489 §9.2.4). */
export interface Seal {
  readonly hash: "sha1" | "sha256";
  readonly key: HmacKey;
}

/** What the answer to one request needs. An allocation keeps one as long as it lives, so it is small. */
export interface ReplyTo {
  readonly method: number;
  /** A `StunView`'s: as an array of bytes it would take seven times as much. */
  readonly id: string;
  readonly path: ClientPath;
  readonly username: string;
  readonly seal: Seal;
  readonly fingerprint: boolean;
}

export function replyTo(view: StunView, path: ClientPath, username: string, seal: Seal): ReplyTo {
  const fingerprint = view.has(Attribute.Fingerprint);
  return { method: view.method, id: view.id, path: copyPath(path), username, seal, fingerprint };
}
