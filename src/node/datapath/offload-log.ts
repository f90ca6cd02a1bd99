/** What the log says of offload: once that it is on or off, and why, and now and then of flows that the kernel refuses. */
import { FailureLog } from "../failure-log.ts";
import type { Log } from "../log.ts";
import type { OffloadReports } from "./ebpf/kernel-forwarding.ts";

export function offloadReports(log: Log): OffloadReports {
  const failures = new FailureLog(log, "offload-failed");
  return {
    flowFailed: (error) => failures.report(error),
    changed: (because) => {
      if (because === undefined) log.info({}, "offload-is-on");
      else log.warn({ err: because }, "offload-is-off");
    },
    stoodDown: (why) => log.warn({ why }, "offload-stands-down"),
  };
}
