/** Which datapath this host can have. */
import { foreign } from "../sys/foreign.ts";
import { availableForeign } from "../sys/libc.ts";

export type DatapathKind = "mmsg" | "dgram";

export interface DatapathChoice {
  readonly kind: DatapathKind;
  /** Why it is not the better one that `auto` prefers. */
  readonly because?: Error;
}

/** Throws `PosternError` `foreign-functions-unavailable` when `mmsg` is asked for and cannot be had. */
export function chooseDatapath(wanted: DatapathKind | "auto"): DatapathChoice {
  if (wanted === "mmsg") availableForeign();
  if (wanted === "dgram" || process.platform !== "linux") return { kind: "dgram" };
  const found = foreign();
  return found instanceof Error ? { kind: "dgram", because: found } : { kind: "mmsg" };
}
