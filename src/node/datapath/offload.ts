/** A datapath whose flows the kernel forwards where it can. Loaded where that is asked for, and nowhere else: it is large. */
import { PosternError } from "../../core/base/failure.ts";
import { foreign } from "../sys/foreign.ts";
import { SystemError } from "../sys/system-error.ts";
import type { Datapath } from "./datapath.ts";
import { EbpfDatapath } from "./ebpf/ebpf.ts";
import type { OffloadReports } from "./ebpf/kernel-forwarding.ts";
import { createOffloadStats } from "./ebpf/offload-stats.ts";
import { programSource } from "./ebpf/program-source.ts";

/** What is not permitted, told to who may permit it. */
const privileges =
  "Offload takes a helper that has CAP_BPF and CAP_NET_ADMIN. systemd: install packaging/postern-helper.service and its drop-in. Containers: --network host --user 0 --cap-add BPF --cap-add NET_ADMIN, and the command helper --user node -- serve. Else, as root: postern helper --user USER -- serve. Where a helper has them, a seccomp profile forbids bpf, or the kernel is older than 5.19. See docs/datapaths.md#what-offload-needs.";

export interface OffloadOptions {
  /** Where a helper is that holds the program; undefined: this process loads it. */
  readonly offloadHelper: string | undefined;
  /** By name; none: those that routes name. */
  readonly offloadInterfaces: readonly string[];
}

/**
 * The datapath, with the kernel forwarding flows for it where it can; or the same datapath. `reports` hears at once which of
 * them it is and why, and later of what changes.
 */
export function withOffload(inner: Datapath, options: OffloadOptions, reports: OffloadReports): Datapath {
  const { offloadHelper, offloadInterfaces } = options;
  const found = foreign();
  const told: OffloadReports = {
    ...reports,
    changed: (because, interfaces) => reports.changed(because && explained(because), interfaces),
  };
  if (found instanceof Error) {
    reports.changed(found);
    return withoutProgram(inner);
  }
  try {
    return new EbpfDatapath(inner, programSource(offloadHelper), told, offloadInterfaces);
  } catch (error) {
    if (!(error instanceof SystemError || error instanceof PosternError)) throw error;
    told.changed(error);
    return withoutProgram(inner);
  }
}

function withoutProgram(datapath: Datapath): Datapath {
  datapath.offloaded = { ...createOffloadStats(), missing: 1 };
  return datapath;
}

/** In words that say what to do. */
function explained(cause: Error): Error {
  if (!(cause instanceof SystemError)) return cause;
  if (cause.code === "EPERM") return new PosternError("offload-not-permitted", privileges, { cause });
  return new PosternError("offload-failed", `The kernel does not take the program: ${cause.message}`, { cause });
}
