/** A datapath of the kind that was chosen. Loads all kinds: a thread that has none need not. */
import type { DatapathKind } from "./choice.ts";
import type { Datapath } from "./datapath.ts";
import { DgramDatapath } from "./dgram.ts";
import { MmsgDatapath, type MmsgOptions } from "./mmsg.ts";

export function createDatapath(kind: DatapathKind, options: MmsgOptions = {}): Datapath {
  return kind === "mmsg" ? new MmsgDatapath(options) : new DgramDatapath();
}
