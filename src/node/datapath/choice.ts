/** Which datapath this host can have. */
import { release } from "node:os";
import { PosternError } from "../../core/base/failure.ts";
import { foreign } from "../sys/foreign.ts";
import { availableForeign } from "../sys/libc.ts";
import { SystemError } from "../sys/system-error.ts";
import type { Datapath } from "./datapath.ts";
import { DgramDatapath } from "./dgram.ts";
import { EbpfDatapath } from "./ebpf/ebpf.ts";
import { MmsgDatapath, type MmsgOptions } from "./mmsg.ts";

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

/** `CAP_BPF` and `CAP_NET_ADMIN`, told to who may grant them. */
const privileges =
  "The capabilities CAP_BPF and CAP_NET_ADMIN are needed. systemd: a drop-in with AmbientCapabilities= and CapabilityBoundingSet= of both, and SystemCallFilter=bpf. Containers: --network host --cap-add BPF --cap-add NET_ADMIN, and a seccomp profile that allows bpf.";

/**
 * The datapath, with the kernel forwarding flows for it where it can; or the same datapath, and why not. `handleFailure`
 * hears later of single flows that the kernel refuses.
 */
export function withOffload(
  inner: Datapath,
  handleFailure: (error: unknown) => void,
): { readonly datapath: Datapath; readonly because?: Error } {
  const found = foreign();
  if (found instanceof Error) return { datapath: inner, because: found };
  if (!isKernelSince(6, 6)) {
    const because = new PosternError("offload-needs-newer-kernel", `Offload needs Linux 6.6; this is ${release()}.`);
    return { datapath: inner, because };
  }
  try {
    return { datapath: new EbpfDatapath(inner, handleFailure) };
  } catch (cause) {
    if (!(cause instanceof SystemError)) throw cause;
    const isRefused = cause.code === "EPERM";
    const because = new PosternError(
      isRefused ? "offload-not-permitted" : "offload-failed",
      isRefused ? privileges : `The kernel does not take the program: ${cause.message}`,
      { cause },
    );
    return { datapath: inner, because };
  }
}

function isKernelSince(major: number, minor: number): boolean {
  const [here = 0, least = 0] = release().split(".").map(Number);
  return here > major || (here === major && least >= minor);
}

export function createDatapath(kind: DatapathKind, options: MmsgOptions = {}): Datapath {
  return kind === "mmsg" ? new MmsgDatapath(options) : new DgramDatapath();
}
